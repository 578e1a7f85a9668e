// Many WebSockets at once, numbered messages both ways, some of them cut.
//   node bench/soak/sockets.mjs [--streams 500] [--events 100] [--aborts 0.1] [--rounds 2] [--seed 1]
import { soak } from './load.mjs';

await soak('WebSockets', 'clients-sockets.mjs', {
  streams: 500,
  events: 100,
  interval: 100,
  aborts: 0.1,
});
