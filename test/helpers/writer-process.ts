import { FileAuthStore } from '../../src/auth-store/file-store.ts';

// A process that writes auth.json again and again until it is killed. Each write makes the text of
// the file longer or shorter, so that a mixture of two of them would be seen.
const [, , folder = '', first = '0', count = '0'] = process.argv;

const store = new FileAuthStore(folder);
process.stdout.write('ready\n');
for (let round = Number(first); round < Number(first) + Number(count); round++) {
  const filling = String(round).repeat(1 + ((round * 7919) % 4000));
  await store.transact((transaction) => transaction.write({ round, filling }));
  process.stdout.write(`${round}\n`);
}
