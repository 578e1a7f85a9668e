/** Light and dark come from the browser; contrast of text is at least 4.5 to 1 in both. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f4f5f7; --card: #fff; --line: #dfe2e7; --text: #1a1e24; --quiet: #59626e;
  --good: #187a46; --warn: #8f5f00; --bad: #c1272d; --info: #1261c4; --soft: #c9d4e4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e1115; --card: #161a20; --line: #272d36; --text: #e5e8ed; --quiet: #98a2af;
    --good: #45c486; --warn: #dfae45; --bad: #ff7d75; --info: #74b2fb; --soft: #3a4a61;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0; padding: 20px 16px 32px; background: var(--ground); color: var(--text);
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1080px; margin: 0 auto; display: grid; gap: 12px; grid-template-columns: repeat(12, 1fr); }
main > * { grid-column: span 12; min-width: 0; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 12px; }
h1 { margin: 0; font-size: 15px; font-weight: 600; }
h2 { margin: 0 0 8px; font-size: 12px; font-weight: 600; color: var(--quiet); }
.quiet { color: var(--quiet); }
.end { margin-left: auto; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
#state { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 14px; border-left: 4px solid var(--hue); }
#state-word { font-size: 20px; font-weight: 600; color: var(--hue); }
#state { --hue: var(--quiet); }
#state[data-state=ready] { --hue: var(--good); }
#state[data-state=degraded] { --hue: var(--warn); }
#state[data-state=failed], #state[data-state=unauthenticated], #state[data-state=unreachable] { --hue: var(--bad); }
#state[data-state=starting], #state[data-state=draining] { --hue: var(--info); }
#problems { flex-basis: 100%; margin: 2px 0 0; padding: 0; list-style: none; color: var(--bad); overflow-wrap: anywhere; }
#sign-in p { margin: 4px 0; overflow-wrap: anywhere; }
#sign-in-code { font-size: 24px; font-weight: 600; letter-spacing: 2px; user-select: all; }
#sign-in-problem { color: var(--bad); }
#sign-in a { color: var(--info); }
button { font: inherit; font-weight: 600; padding: 5px 14px; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); color: var(--text); cursor: pointer; }
button:disabled { cursor: default; opacity: 0.6; }
.tile { grid-column: span 3; }
.tile p { margin: 0; }
.figure { font-size: 19px; font-weight: 600; line-height: 1.25; }
.figure small { font-size: 13px; font-weight: 400; color: var(--quiet); margin-right: 6px; }
.half { grid-column: span 6; }
.stack td:not(.wide) { white-space: nowrap; }
.chart { position: relative; }
.chart h2 { display: flex; gap: 12px; }
.chart h2 span { font-weight: 400; }
svg { display: block; width: 100%; height: 96px; border-bottom: 1px solid var(--line); }
.top { position: absolute; right: 0; top: -2px; padding-left: 4px; background: var(--card); color: var(--quiet); font-size: 11px; }
.plot { position: relative; border-top: 1px dashed var(--line); }
.remedy { display: block; color: var(--quiet); }
.axis { display: flex; justify-content: space-between; color: var(--quiet); font-size: 11px; padding-top: 2px; }
.fine { fill: var(--info); } .refused { fill: var(--warn); } .failed { fill: var(--bad); }
.median, .p95 { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.median { stroke: var(--info); } .p95 { stroke: var(--warn); stroke-width: 1.5; }
.key::before { content: ""; display: inline-block; width: 8px; height: 8px; margin-right: 5px; border-radius: 2px; background: var(--ink); }
.key.a { --ink: var(--info); } .key.b { --ink: var(--warn); } .key.c { --ink: var(--bad); }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 500; color: var(--quiet); padding: 0 10px 4px 0; white-space: nowrap; }
td { padding: 3px 10px 3px 0; border-top: 1px solid var(--line); vertical-align: baseline; }
th:last-child, td:last-child { padding-right: 0; }
.counts th:not(:first-child), .counts td:not(:first-child) { text-align: right; }
.zero, .empty { color: var(--quiet); }
code { font: 12px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 14px; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.tag { display: inline-block; padding: 0 6px; border: 1px solid var(--line); border-radius: 4px; font-size: 12px; white-space: nowrap; }
.tag[data-kind=assertion] { color: var(--good); } .tag[data-kind=bearer] { color: var(--info); }
.tag[data-kind=deny] { color: var(--bad); }
.clients td:nth-child(n+3):nth-child(-n+7), .clients th:nth-child(n+3):nth-child(-n+7) { text-align: right; }
.clients td:first-child { overflow-wrap: anywhere; }
.clients td:last-child { width: 34%; }
.gone td { color: var(--quiet); }
.bars { display: grid; grid-template-columns: minmax(60px, 1fr) max-content; gap: 0 10px; align-items: center; }
.bars:empty { display: none; }
.bars span { color: var(--quiet); white-space: nowrap; }
#account-limits { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 10px 24px; }
#account-limits p { margin: 0; color: var(--quiet); grid-column: 1 / -1; }
.limit { display: flex; flex-wrap: wrap; gap: 4px 10px; align-content: end; }
.meter { width: 100%; height: 7px; border-radius: 4px; background: var(--line); overflow: hidden; }
.meter div { height: 100%; background: var(--good); }
.meter[data-level=near] div { background: var(--warn); } .meter[data-level=high] div { background: var(--bad); }
#live::before { content: ""; display: inline-block; width: 7px; height: 7px; margin-right: 6px; border-radius: 50%; background: var(--good); animation: pulse 2.4s ease-in-out infinite; }
#page[data-online=false] #live { visibility: hidden; }
#page[data-online=false] .data { opacity: 0.55; }
@keyframes pulse { 50% { opacity: 0.35; } }
@media (prefers-reduced-motion: reduce) { #live::before { animation: none; } }
@media (max-width: 760px) {
  body { padding: 14px 10px 24px; }
  .tile { grid-column: span 6; }
  .half { grid-column: span 12; }
  .stack thead { position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden; }
  .stack tr { display: flex; flex-wrap: wrap; gap: 0 10px; padding: 4px 0; border-top: 1px solid var(--line); }
  .stack td { border: 0; padding: 0; }
  .stack td:empty { display: none; }
  .stack .wide { flex-basis: 100%; order: -1; }
  .counts td, .counts th { padding-right: 6px; }
  .clients td:last-child { width: auto; flex-basis: 100%; }
  .clients td:nth-child(3)::after { content: " requests"; } .clients td:nth-child(4)::after { content: " open"; }
  .clients td:nth-child(5)::after { content: " input"; } .clients td:nth-child(6)::after { content: " cached"; }
  .clients td:nth-child(7)::after { content: " output"; }
}
`;
