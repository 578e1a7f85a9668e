/** The page without data, which its script fills in. Nothing is ever put into this text. */
export const BODY = `
<main id="page" data-online="false">
<header>
  <h1>codex-auth-sidecar</h1><span id="version" class="quiet"></span>
  <span class="end"><span id="live" class="quiet">live</span></span>
</header>
<section id="state" class="card" data-state="" aria-label="Status">
  <div role="status" aria-live="polite"><span id="state-word">connecting</span></div>
  <span id="state-text" class="quiet"></span>
  <span id="uptime" class="quiet end"></span>
  <ul id="problems" hidden></ul>
</section>
<section id="sign-in" class="card" aria-label="Sign in" hidden>
  <p id="sign-in-offer"><button id="sign-in-begin" type="button">Sign in</button>
    <span class="quiet">to ChatGPT, in any browser; the login is kept by this sidecar only</span></p>
  <div id="sign-in-wait" hidden>
    <div aria-live="polite">
      <p>Open <a id="sign-in-link" target="_blank" rel="noopener noreferrer"></a>, sign in, and type this code:</p>
      <p><code id="sign-in-code"></code></p>
      <p>Type it only if you began this sign-in yourself. Whoever sends you a code is after your account.</p>
    </div>
    <p><button id="sign-in-cancel" type="button">Cancel</button>
      <span class="quiet">waiting for you; the code is good for another <span id="sign-in-left">–</span></span></p>
  </div>
  <p id="sign-in-problem" aria-live="polite" hidden></p>
</section>
<section class="card tile data">
  <h2>Bearer ends in</h2><p id="countdown" class="figure">–</p>
  <p class="quiet"><span id="bearer-state">–</span></p>
</section>
<section class="card tile data">
  <h2>Agent identity</h2><p id="identity-state" class="figure">–</p>
  <p id="identity-policy" class="quiet"></p>
</section>
<section class="card tile data">
  <h2>Open now</h2>
  <p class="figure"><span id="http">–</span> <small>http</small> <span id="websocket">–</span> <small>ws</small></p>
  <p class="quiet">upstream <span id="last-status">–</span> at <span id="last-at">–</span></p>
</section>
<section class="card tile data">
  <h2>Added latency</h2><p id="added" class="figure">–</p>
  <p id="added-p95" class="quiet"></p>
</section>
<section class="card half chart data">
  <h2>Requests <span id="rate"></span>
    <span class="end key a">fine</span><span class="key b">4xx</span><span class="key c">failed</span></h2>
  <div class="plot">
    <svg id="rate-chart" role="img" aria-label="Requests a second" viewBox="0 0 600 100" preserveAspectRatio="none">
      <path id="bars-fine" class="fine"/><path id="bars-refused" class="refused"/><path id="bars-failed" class="failed"/>
    </svg>
    <span id="rate-top" class="top"></span>
  </div>
  <div class="axis"><span id="rate-begin">10 min ago</span><span>now</span></div>
</section>
<section class="card half chart data">
  <h2>Time to first byte <span id="first-byte"></span>
    <span class="end key a">median</span><span class="key b">p95</span></h2>
  <div class="plot">
    <svg id="latency-chart" role="img" aria-label="Time to first byte" viewBox="0 0 600 100" preserveAspectRatio="none">
      <path id="line-p95" class="p95"/><path id="line-median" class="median"/>
    </svg>
    <span id="latency-top" class="top"></span>
  </div>
  <div class="axis"><span id="latency-begin">10 min ago</span><span>now</span></div>
</section>
<section class="card data">
  <h2>Limits of the account</h2>
  <div id="account-limits"></div>
</section>
<section class="card data">
  <h2>Clients <span class="quiet">today, UTC</span></h2>
  <table class="stack clients" role="table"><thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Client</th><th scope="col" role="columnheader">State</th><th scope="col" role="columnheader">Requests</th><th scope="col" role="columnheader">Open</th><th scope="col" role="columnheader">Input</th><th scope="col" role="columnheader">Cached</th><th scope="col" role="columnheader">Output</th><th scope="col" role="columnheader">Limits</th></tr></thead>
  <tbody id="clients" role="rowgroup"></tbody></table>
  <p id="clients-more" class="quiet" hidden></p>
</section>
<section class="card half data">
  <h2>Identity</h2>
  <dl>
    <dt>Credential</dt><dd id="credential">–</dd>
    <dt>From</dt><dd id="source">–</dd>
    <dt>Store</dt><dd id="store">–</dd>
    <dt>Account</dt><dd><span id="account">–</span> <span id="fedramp" class="tag" hidden>FedRAMP</span></dd>
    <dt>Last refresh</dt><dd id="bearer-refresh">–</dd>
    <dt>Agent runtime</dt><dd><code id="identity-runtime">–</code></dd>
    <dt>Public key</dt><dd><code id="identity-key">–</code></dd>
    <dt>Run task</dt><dd><code id="identity-task">–</code></dd>
    <dt>Runtime instance</dt><dd><code id="identity-instance">–</code></dd>
    <dt>Last rejection</dt><dd id="identity-rejection">–</dd>
    <dt>Upstream</dt><dd id="origin">–</dd>
    <dt>Clock skew</dt><dd id="skew">–</dd>
    <dt>Certificate</dt><dd><span id="certificate">–</span> <span id="certificate-left" class="quiet"></span></dd>
  </dl>
</section>
<section class="card half data">
  <h2>Routes</h2>
  <table class="stack" role="table"><thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Methods</th><th scope="col" role="columnheader">Path</th><th scope="col" role="columnheader">Auth</th></tr></thead>
  <tbody id="routes" role="rowgroup"></tbody></table>
</section>
<section class="card data">
  <h2>Requests by kind and status</h2>
  <table class="counts"><thead><tr><th scope="col">Kind</th><th scope="col">1xx</th><th scope="col">2xx</th><th scope="col">3xx</th><th scope="col">4xx</th><th scope="col">429</th><th scope="col">5xx</th><th scope="col">none</th></tr></thead>
  <tbody id="kinds"></tbody></table>
  <p class="quiet">Sent upstream: <span id="assertion">–</span> with an assertion, <span id="bearer-requests">–</span> with a bearer
    (<span id="degraded">–</span> for want of an assertion). Denied here: <span id="denied">–</span>.</p>
  <p class="quiet"><strong>assertion</strong>: a signed proof of the Agent Identity goes with it. <strong>bearer</strong>: the token of the login.
    <strong>none</strong>: no credential. <strong>deny</strong>: no rule allows it. <strong>unmatched</strong>: refused before a rule was looked for.
    <strong>own</strong>: the sidecar's own pages. <strong>429</strong>: over a limit, of the client or of the account.</p>
</section>
<section class="card data">
  <h2>Recent refusals</h2>
  <table class="stack" role="table"><thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Last</th><th scope="col" role="columnheader">Times</th><th scope="col" role="columnheader">Client</th><th scope="col" role="columnheader">Request</th><th scope="col" role="columnheader">Status</th><th scope="col" role="columnheader">By, and what to do</th></tr></thead>
  <tbody id="refusals" role="rowgroup"></tbody></table>
</section>
</main>
<noscript><p>This page needs JavaScript. The same as JSON: <code>curl http://…/auth/status</code></p></noscript>
`;
