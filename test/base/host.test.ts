import t from 'tap';
import { isLoopbackHost } from '../../src/base/host.ts';

t.test('knows this machine by name and by address', async (t) => {
  const hosts = ['localhost', 'LocalHost', '127.0.0.1', '127.255.255.254', '::1', '[::1]'];
  const spellings = ['0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '[::ffff:7f00:1]', '::ffff:127.9.9.9'];
  for (const host of [...hosts, ...spellings]) t.ok(isLoopbackHost(host), host);
});

t.test('takes nothing else for it', async (t) => {
  const names = [
    '',
    'localhost.',
    'localhost.example.com',
    'my-localhost',
    '127.0.0.1.example.com',
  ];
  const numbers = ['127.1', '2130706433', '0x7f000001', '0177.0.0.1', '127.0.0.1:80', ' 127.0.0.1'];
  const addresses = ['0.0.0.0', '128.0.0.1', '126.255.255.255', '10.0.0.1', '::', '::2', '[::]'];
  const mapped = ['::ffff:128.0.0.1', '::127.0.0.1', 'fe80::1', '::ffff:126.255.255.255'];
  for (const host of [...names, ...numbers, ...addresses, ...mapped]) {
    t.notOk(isLoopbackHost(host), host);
  }
});
