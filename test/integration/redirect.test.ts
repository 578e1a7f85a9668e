import t from 'tap';
import { send } from '../helpers/exchange.ts';
import { MODELS, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

for (const status of [301, 302, 303, 307, 308]) {
  t.test(`a ${status} is handed on and never followed`, async (t) => {
    const elsewhere = await startUpstream(t, (_request, response) => response.end());
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(status, { location: `${elsewhere.origin}/target` }).end('moved');
    });
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const answer = await send(url + MODELS);
    t.equal(answer.status, status);
    t.equal(answer.headers.location, `${elsewhere.origin}/target`);
    t.equal(answer.text, 'moved');
    t.strictSame([upstream.requests.length, elsewhere.connections], [1, 0]);
  });
}
