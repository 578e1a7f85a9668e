import { tuneHeap } from '../../src/commands/process.ts';
import type { Job } from '../protocol.ts';
import { holdStreams, releaseStreams } from './held.ts';
import { runRequests } from './requests.ts';
import { runProbe, runUpload } from './single.ts';
import { runSockets } from './sockets.ts';
import { runStreams } from './streams.ts';

/** The load generator: does one job after another for its parent. */

// It rests while memory at rest is read, and must not be slower for that.
tuneHeap();
process.on('message', (job: Job) => {
  run(job).then(
    (result) => process.send?.({ result }),
    (error: Error) => process.send?.({ failure: error.message }),
  );
});
process.once('disconnect', () => process.exit());

function run(job: Job): Promise<object> {
  switch (job.kind) {
    case 'probe':
      return runProbe(job);
    case 'requests':
      return runRequests(job);
    case 'streams':
      return runStreams(job);
    case 'sockets':
      return runSockets(job);
    case 'hold':
      return holdStreams(job);
    case 'release':
      return releaseStreams();
    case 'upload':
      return runUpload(job);
  }
}
