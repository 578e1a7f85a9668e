// Loaded into the sidecar with --import. Collects all garbage before it looks, so that what it
// reports is what the process still holds.
process.on('message', async () => {
  // A second time for what finalizers of the first let go.
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise(setImmediate);
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  process.send({ heap: (heapUsed + external) / 2 ** 20, rss: rss / 2 ** 20 });
});
process.channel.unref();
