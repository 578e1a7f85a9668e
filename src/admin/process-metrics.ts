import { readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { MetricFamily } from '../telemetry/prometheus-text.ts';

/** Process metrics under their usual names, read now; nothing watches the process in between. */
export function processMetrics(): MetricFamily[] {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const { active, idle } = performance.eventLoopUtilization();
  const startedAt = Math.floor(performance.timeOrigin / 1000);
  return [
    counter('process_cpu_user_seconds_total', 'User CPU time', user / 1e6),
    counter('process_cpu_system_seconds_total', 'System CPU time', system / 1e6),
    counter('process_cpu_seconds_total', 'User and system CPU time', (user + system) / 1e6),
    gauge('process_start_time_seconds', 'Start of the process', startedAt),
    gauge('process_resident_memory_bytes', 'Resident memory', rss),
    gauge('process_open_fds', 'Open file descriptors', openFiles()),
    gauge('process_max_fds', 'Most file descriptors', mostFiles()),
    gauge('nodejs_heap_size_used_bytes', 'Used heap of V8', heapUsed),
    gauge('nodejs_heap_size_total_bytes', 'Heap of V8', heapTotal),
    gauge('nodejs_external_memory_bytes', 'Buffers and other memory outside the heap', external),
    counter('nodejs_eventloop_active_seconds_total', 'Time the event loop was busy', active / 1000),
    counter('nodejs_eventloop_idle_seconds_total', 'Time the event loop waited', idle / 1000),
  ];
}

function counter(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'counter', samples: [{ value }] };
}

/** @param value null where it isn't known */
function gauge(name: string, help: string, value: number | null): MetricFamily {
  return { name, help, type: 'gauge', samples: value === null ? [] : [{ value }] };
}

// Only Linux has these files; elsewhere the metric has no value.
function openFiles(): number | null {
  return readProc(() => readdirSync('/proc/self/fd').length);
}

/** The limit of this process; null where it isn't known. */
export function mostFiles(): number | null {
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
