// Whose time a profile shows: perf script -i perf.data | node bench/owners.mjs
// Each sample goes to the kernel where it is in it, and else to the package of the JavaScript function
// that is nearest on the stack: what V8 and Node's C++ do for a function counts as its own.
import { createInterface } from 'node:readline';

const counts = new Map();
let frames = [];
let samples = 0;

for await (const line of createInterface({ input: process.stdin })) {
  if (/^\s+[0-9a-f]+ /.test(line)) frames.push(line.trim().replace(/^[0-9a-f]+ /, ''));
  else if (line === '') count();
}
count();

function count() {
  if (frames.length === 0) return;
  const owner = ownerOf(frames);
  counts.set(owner, (counts.get(owner) ?? 0) + 1);
  samples++;
  frames = [];
}

function ownerOf(stack) {
  if (/\[kernel|\[k\]/.test(stack[0])) return 'kernel';
  for (const frame of stack) {
    if (/GarbageCollect|Scaveng|MarkCompact|ConcurrentMarking|Sweep/.test(frame))
      return 'collector';
    if (/OptimizingCompile|Compiler::/.test(frame)) return 'compiler';
    const script = /^(?:JS|RegExp|Function|Script|LazyCompile):(.*)/.exec(frame)?.[1];
    if (script === undefined) continue;
    if (script.includes('/.build/program/')) return 'sidecar';
    if (/node_modules\/(?:fastify|find-my-way|@fastify|avvio)/.test(script)) return 'fastify';
    if (/node_modules\/undici|wasm/.test(script)) return 'undici';
    if (/node:/.test(script)) return 'node (JavaScript, and C++ for it)';
  }
  return 'node (C++ alone: event loop, parser)';
}

for (const [owner, n] of [...counts].sort((a, b) => b[1] - a[1])) {
  process.stdout.write(`${((n / samples) * 100).toFixed(1).padStart(5)} %  ${owner}\n`);
}
