// Many streams of numbered server-sent events at once, some of them abandoned.
//   node bench/soak/streams.mjs [--streams 1000] [--events 200] [--aborts 0.1] [--rounds 2] [--seed 1]
import { soak } from './load.mjs';

await soak('server-sent events', 'clients-streams.mjs', {
  streams: 1000,
  events: 200,
  interval: 100,
  aborts: 0.1,
});
