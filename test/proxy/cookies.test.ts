import { inspect } from 'node:util';
import t from 'tap';
import { CloudflareCookies } from '../../src/proxy/cookies.ts';
import { captureLog } from '../helpers/captured-log.ts';

const PATH = '/backend-api/codex/responses';
const VALUE = 'value-that-nobody-may-see';

function jar(origin = 'https://upstream.example') {
  const { log } = captureLog();
  const cookies = new CloudflareCookies(origin, log);
  const set = (...lines: string[]) => cookies.observe(PATH, lines);
  return { cookies, set };
}

t.test('the names of Cloudflare are kept, and no other', async (t) => {
  const { cookies, set } = jar();
  const names = [
    ...['__cf_bm', '__cflb', '__cfruid', '__cfseq', '__cfwaitingroom', '_cfuvid', 'cf_clearance'],
    ...['cf_ob_info', 'cf_use_ob', 'cf_chl_rc_m', 'cf_chl_2'],
  ];
  const others = ['session', '__cf_bm2', 'x__cf_bm', '__CF_BM', 'cf_chl', '__Secure-auth', ''];
  set(...[...others, ...names].map((name) => `${name}=1; Path=/`), '__cf_bm', 'cf_chl_x; a=1');
  const sent = (await cookies.header(PATH))?.split('; ') ?? [];
  t.strictSame(sent.sort(), names.map((name) => `${name}=1`).sort());
});

t.test('a request right after the first cookie has it', async (t) => {
  const { cookies, set } = jar();
  t.equal(cookies.header(PATH), null);
  set('__cf_bm=1; Path=/');
  set('__cf_bm=2; Path=/', '_cfuvid=3; Path=/');
  t.equal(await cookies.header(PATH), '__cf_bm=2; _cfuvid=3');
  set('__cf_bm=4; Path=/');
  t.equal(cookies.header(PATH), '__cf_bm=4; _cfuvid=3', 'and from then on without a promise');
});

t.test('path, domain and expiry are respected', async (t) => {
  const { cookies, set } = jar();
  set(
    '__cf_bm=1; Path=/elsewhere',
    '__cflb=2',
    '_cfuvid=3; Path=/; Domain=upstream.example; Secure; HttpOnly; SameSite=None',
    '__cfruid=4; Path=/; Domain=other.example',
    '__cfseq=5; Path=/; Domain=example',
    'cf_clearance=6; Path=/; Max-Age=0',
    'cf_ob_info=7; Path=/; Expires=Thu, 01 Jan 2015 00:00:00 GMT',
  );
  t.equal(await cookies.header(PATH), '__cflb=2; _cfuvid=3', 'the default path is the folder');
  t.equal(cookies.header('/backend-api/wham/usage'), '_cfuvid=3');
  t.equal(cookies.header('/elsewhere'), '__cf_bm=1; _cfuvid=3');
  set('_cfuvid=3; Path=/; Domain=upstream.example; Max-Age=0');
  t.equal(cookies.header('/backend-api/wham/usage'), null, 'and taken back');
});

t.test('over plain http nothing is kept', async (t) => {
  const { cookies, set } = jar('http://127.0.0.1:8080');
  set('__cf_bm=1; Path=/');
  t.equal(cookies.header(PATH), null);
});

t.test('what could not be sent, or would be too much, is not kept', async (t) => {
  const { cookies, set } = jar();
  set('__cf_bm=a\x7fb; Path=/', `__cflb=${'x'.repeat(5000)}; Path=/`, '_cfuvid=\xe9; Path=/');
  t.equal(await cookies.header(PATH), '_cfuvid=\xe9');
  for (let i = 0; i < 200; i++) set(`cf_chl_${i}=1; Path=/`);
  t.equal((await cookies.header(PATH))?.split('; ').length, 50);
  set('_cfuvid=new; Path=/');
  t.match(await cookies.header(PATH), '_cfuvid=new', 'one that is there may change');
});

t.test('values do not show', async (t) => {
  const { cookies, set } = jar();
  set(`__cf_bm=${VALUE}; Path=/`);
  t.match(await cookies.header(PATH), VALUE);
  for (const text of [inspect(cookies, { depth: 9, showHidden: true }), JSON.stringify(cookies)]) {
    t.notMatch(text, VALUE);
  }
});
