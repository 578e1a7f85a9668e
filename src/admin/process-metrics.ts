import { readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { MetricFactory, Sample } from './prometheus-metrics.ts';

/**
 * Process metrics under their usual names. Not prom-client's own set: its event loop monitor wakes an
 * idle process a hundred times a second (measured), and its collector observer is always on. These
 * are read when somebody asks.
 */
export function addProcessMetrics(make: MetricFactory): void {
  const cpu = (read: (usage: NodeJS.CpuUsage) => number) => () =>
    one(read(process.cpuUsage()) / 1e6);
  make.counter(
    'process_cpu_user_seconds_total',
    'User CPU time',
    [],
    cpu(({ user }) => user),
  );
  make.counter(
    'process_cpu_system_seconds_total',
    'System CPU time',
    [],
    cpu(({ system }) => system),
  );
  make.counter(
    'process_cpu_seconds_total',
    'User and system CPU time',
    [],
    cpu(({ user, system }) => user + system),
  );
  const startedAt = (performance.timeOrigin / 1000) | 0;
  make.gauge('process_start_time_seconds', 'Start of the process', [], () => one(startedAt));
  make.gauge('process_resident_memory_bytes', 'Resident memory', [], () =>
    one(process.memoryUsage.rss()),
  );
  make.gauge('process_open_fds', 'Open file descriptors', [], () => known(openFiles()));
  make.gauge('process_max_fds', 'Most file descriptors', [], () => known(mostFiles()));
  make.gauge('nodejs_heap_size_used_bytes', 'Used heap of V8', [], () =>
    one(process.memoryUsage().heapUsed),
  );
  make.gauge('nodejs_heap_size_total_bytes', 'Heap of V8', [], () =>
    one(process.memoryUsage().heapTotal),
  );
  make.gauge('nodejs_external_memory_bytes', 'Buffers and other memory outside the heap', [], () =>
    one(process.memoryUsage().external),
  );
  make.counter('nodejs_eventloop_active_seconds_total', 'Time the event loop was busy', [], () =>
    one(performance.eventLoopUtilization().active / 1000),
  );
  make.counter('nodejs_eventloop_idle_seconds_total', 'Time the event loop waited', [], () =>
    one(performance.eventLoopUtilization().idle / 1000),
  );
}

function one(value: number): Sample[] {
  return [[{}, value]];
}

function known(value: number | null): Sample[] {
  return value === null ? [] : one(value);
}

// Only Linux has these files; elsewhere the metric is absent.
function openFiles(): number | null {
  return readProc(() => readdirSync('/proc/self/fd').length);
}

function mostFiles(): number | null {
  return readProc(() => {
    const match = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return match ? Number(match[1]) : null;
  });
}

function readProc<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
