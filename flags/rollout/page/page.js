"use strict";
// Shows rollouts.json and keeps it up to date. Text gets into the page as text alone: never as HTML.

const POLL = 3000; // Milliseconds between two looks at the data ...
const PATIENCE = 10000; // ... and for how long one may take.
const SIGNS = { PASS: "✓", FAIL: "✕", HOLD: "‖", "NOT JUDGED": "–" };
const TONES = { PASS: "pass", FAIL: "fail", HOLD: "hold", "NOT JUDGED": "idle" };
const LINES = {
  feature: "the feature's calls",
  treatment: "other calls, treatment",
  control: "other calls, control",
};
const SVG = "http://www.w3.org/2000/svg";

let shown = null; // The data that the page shows now ...
let drawn = null; // ... and its essence when the page was last made.
let answered = null; // When that was true, in seconds of this device's clock.
let trouble = null; // Why it is not up to date.
let offset = 0; // How many seconds the server's clock is ahead of this device's.

const byId = (id) => document.getElementById(id);
const here = () => Date.now() / 1000;
const now = () => here() + offset;

/* What elements are made of */

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(
    ...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/* Numbers and times for a reader */

function number(value, digits = 3) {
  return value.toLocaleString("en", { maximumSignificantDigits: digits });
}

function percent(rate) {
  return `${number(rate * 100)} %`;
}

function seconds(value) {
  return value > 0 && value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`;
}

function duration(length) {
  const whole = Math.max(0, Math.round(length));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  const parts = days ? [days, "d", hours, "h"] : [hours, "h", minutes, "min"];
  return parts[2] ? parts.join(" ") : parts.slice(0, 2).join(" ");
}

// A time of day, with the date unless that is today's.
function clock(at, precise = false) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date(now() * 1000).toDateString();
  const day = today ? {} : { day: "numeric", month: "short" };
  const second = precise ? { second: "2-digit" } : {};
  return date.toLocaleString("en-GB", { ...day, hour: "2-digit", minute: "2-digit", ...second });
}

function time(at) {
  return h("time", { datetime: new Date(at * 1000).toISOString() }, clock(at));
}

// An element that follows the clock.
function ticking(element, follow) {
  element.dataset.ticks = "";
  element.follow = follow;
  follow(element);
  return element;
}

const telling = (tell) => ticking(h("span"), (element) => (element.textContent = tell()));
const ago = (at) => telling(() => `${duration(now() - at)} ago`);
const left = (until) => telling(() => duration(until - now()));

/* What a rollout's state means */

// Whether looks were due since the last one.
function isOld({ fresh_until: limit }) {
  return limit !== null && now() > limit;
}

// Whether the last look was at the phase before this one.
function isOfBefore({ status, look, phase_since: since }) {
  return look !== null && look.at <= since && (status === "running" || status === "paused");
}

function lastMove(state) {
  return state.history.findLast((entry) => ["roll back", "break"].includes(entry.action));
}

function names(findings) {
  return [...new Set(findings.map((finding) => finding.criterion))].join(", ");
}

// The word to shout, and what it means, as nodes.
function verdictOf(rollout) {
  const { plan, state } = rollout;
  if (!state) return { word: "NOT STARTED", tone: "idle", text: ["Nobody moves this flag."] };
  const { look } = state;
  const outcome = look?.verdict?.outcome ?? "HOLD";
  const findings = look?.verdict?.findings ?? [];
  const say = (word, ...text) => ({ word, tone: TONES[word], text });
  if (state.status === "stopped") {
    const move = lastMove(state);
    const judged = move.actor === "controller";
    return say(
      judged ? "FAIL" : "HOLD",
      `Rolled back to ${move.percent} % `,
      ago(move.at),
      state.percent !== move.percent && `, and set to ${state.percent} % by a person since`,
      "; nothing moves until start.",
    );
  }
  if (state.status === "completed") return say("PASS", "Completed: every phase has passed.");
  if (isOld(rollout)) {
    const before = look
      ? [`The last look, which said ${outcome}, was `, ago(look.at)]
      : ["There was no look yet"];
    return say("HOLD", ...before, ". Is the controller running?");
  }
  if (!look || isOfBefore(state)) return say("HOLD", "Waiting for the first look at this phase.");
  if (!look.verdict) return say("HOLD", "There is no verdict: nothing moves.");
  const broken = names(findings.filter((finding) => finding.outcome === "FAIL"));
  const unknown = names(findings.filter((finding) => finding.outcome === "HOLD"));
  const alone = broken ? ` Broken: ${broken}.` : unknown ? ` Not known yet: ${unknown}.` : "";
  if (state.status === "paused")
    return say(broken ? "FAIL" : "HOLD", `Paused: nothing moves, not even back.${alone}`);
  if (state.blocked !== null) return say("HOLD", `Blocked: no verdict moves it.${alone}`);
  if (outcome === "FAIL") return say("FAIL", `Broken: ${broken}. The controller rolls it back.`);
  if (outcome === "HOLD") return say("HOLD", `Nothing moves.${alone}`);
  const following = plan.phases[state.phase + 1];
  const goal = following ? `${following.percent} % of the merchants` : "Completed";
  return say("PASS", `${goal} at the first look after `, left(until(rollout)), " more.");
}

// When the phase may pass.
function until({ now: at, time_left: rest }) {
  return at + rest;
}

/* The parts of the page */

function titleOf({ plan, state }) {
  return h(
    "div",
    { class: "title" },
    h("h2", { id: `flag-${plan.flag}` }, plan.flag),
    state && h("span", { class: "status" }, state.status),
  );
}

function headline(rollout, verdict) {
  const { state } = rollout;
  return h(
    "div",
    { class: "verdict", "data-tone": verdict.tone },
    h(
      "span",
      { class: "word" },
      verdict.word in SIGNS ? `${SIGNS[verdict.word]} ${verdict.word}` : verdict.word,
    ),
    state && h("span", { class: "share" }, h("b", null, `${state.percent} %`), " of merchants"),
    h("p", { class: "text" }, verdict.text),
  );
}

function banner(tone, title, ...text) {
  return h(
    "p",
    { class: "banner", "data-tone": tone, role: "note" },
    h("strong", null, title),
    " ",
    text,
  );
}

function whoAndWhen(state, ...actions) {
  const entry = state.history.findLast((each) => actions.includes(each.action));
  return entry ? [h("span", { class: "quiet" }, ` — ${entry.actor}, `, ago(entry.at))] : [];
}

function banners(rollout) {
  const { plan, state } = rollout;
  if (!state) {
    return [
      banner(
        "idle",
        "Not started.",
        "To begin with ",
        `${plan.phases[0].percent} %: `,
        h("code", null, `patron rollout start ${plan.flag}`),
      ),
    ];
  }
  const all = [];
  if (state.status === "stopped") {
    const move = lastMove(state);
    all.push(
      banner(
        "fail",
        move.action === "break" ? "The breaker rolled back." : "Rolled back.",
        move.reason,
        whoAndWhen(state, "roll back", "break"),
      ),
    );
  }
  if (state.blocked !== null)
    all.push(banner("hold", "Blocked.", state.blocked, whoAndWhen(state, "block")));
  if (state.paused !== null) {
    const person =
      state.history.findLast((entry) => ["pause", "stand back"].includes(entry.action))?.action ===
      "stand back";
    all.push(
      banner(
        "hold",
        person ? "The controller stands back until resume." : "Paused until resume.",
        state.paused,
        whoAndWhen(state, "pause", "stand back"),
      ),
    );
  }
  if (state.moving_from !== null)
    all.push(
      banner(
        "hold",
        "On the way.",
        `From ${state.moving_from} % to ${state.percent} %: Unleash has not confirmed it yet.`,
      ),
    );
  if (state.look?.problem) all.push(banner("fail", "No verdict.", state.look.problem));
  return all;
}

function timeline(rollout) {
  const { plan, state } = rollout;
  const ended = state?.status === "stopped" || state?.status === "completed";
  const reached = state?.status === "completed" ? plan.phases.length : (state?.phase ?? -1);
  const here = ended ? ["■", "stopped here"] : ["●", "now"];
  const nobody = state && state.phase < 0;
  const steps = plan.phases.map((phase, index) => {
    const share = `${phase.percent} %`;
    if (index < reached) return step("past", "✓", "passed", share, enteredAt(state, phase));
    if (index === reached) return step("now", ...here, share, current(rollout, phase, ended));
    const back = ended && enteredAt(state, phase).length > 0;
    const coming = index === reached + 1 ? "next" : "later";
    const word = back ? "rolled back from here" : ended ? "not reached" : coming;
    return step("next", "○", word, share, [`at least ${duration(phase.at_least)}`]);
  });
  if (nobody) steps.unshift(step("now", ...here, `${state.percent} %`, sinceThen(state)));
  return h(
    "section",
    { class: "card" },
    h("h3", null, "Phases"),
    h("ol", { class: "phases" }, steps),
  );
}

function step(is, sign, word, share, body) {
  return h(
    "li",
    { class: "phase", "data-is": is, "aria-current": is === "now" ? "step" : null },
    h("span", { class: "sign", "aria-hidden": "true" }, sign),
    h(
      "div",
      { class: "body" },
      h("strong", null, share),
      ` ${word}`,
      h("div", { class: "quiet" }, body),
    ),
  );
}

function enteredAt(state, phase) {
  const history = state.history.filter((each) => each.at >= state.started_at);
  // What was done at that share since, such as a pause or the completion, did not begin the phase.
  const entry = history.findLast(
    (each, index) => each.percent === phase.percent && history[index - 1]?.percent !== phase.percent,
  );
  return entry ? ["from ", time(entry.at)] : [];
}

const sinceThen = (state) => ["since ", time(state.phase_since)];

function current(rollout, phase, ended) {
  const { state } = rollout;
  const since = sinceThen(state);
  const other = state.percent === phase.percent ? [] : [`the flag is at ${state.percent} %, `];
  if (ended) return [...other, ...since];
  const end = until(rollout);
  const label = "How much of the phase's least time is over";
  const bar = ticking(h("progress", { max: phase.at_least, "aria-label": label }), (element) => {
    element.value = phase.at_least - Math.max(0, end - now());
  });
  return [
    ...other,
    ...since,
    bar,
    end > now()
      ? [left(end), " left, until ", time(end), " at the earliest"]
      : "its least time is over",
  ];
}

function table({ state }) {
  const verdict = state?.look?.verdict;
  if (!verdict) return null;
  const rows = verdict.findings.map((finding) =>
    h(
      "tr",
      { role: "row" },
      h(
        "th",
        { scope: "row", role: "rowheader" },
        finding.criterion,
        finding.reason === "relative" && h("span", { class: "quiet" }, " against control"),
      ),
      h(
        "td",
        { class: "outcome", role: "cell", "data-tone": TONES[finding.outcome] },
        h("span", { class: "mark" }, `${SIGNS[finding.outcome]} ${finding.outcome}`),
      ),
      h(
        "td",
        { class: "number", role: "cell", "data-name": "Value" },
        measure(finding, finding.value),
      ),
      h("td", { class: "number", role: "cell", "data-name": "Limit" }, allowed(finding)),
      h("td", { class: "number", role: "cell", "data-name": "Sample" }, number(finding.sample, 9)),
      h("td", { class: "why", role: "cell" }, finding.explanation),
    ),
  );
  const heads = ["Criterion", "Verdict", "Value", "Limit", "Sample", "Why"];
  return h(
    "section",
    { class: "card" },
    h(
      "h3",
      null,
      "Go or no-go ",
      h(
        "span",
        { class: "quiet" },
        "as of ",
        ago(state.look.at),
        isOfBefore(state) && ", in the phase before",
      ),
    ),
    h(
      "table",
      { role: "table" },
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          heads.map((name) => h("th", { scope: "col", role: "columnheader" }, name)),
        ),
      ),
      h("tbody", { role: "rowgroup" }, rows),
    ),
  );
}

function measure({ criterion, reason }, value) {
  if (value === null) return "–";
  if (reason === "relative") return `${number(value)} ×`;
  if (criterion === "error rate") return percent(value);
  return /^p\d/.test(criterion) ? seconds(value) : number(value);
}

function allowed(finding) {
  const sign = finding.criterion === "ratings" ? "≥" : finding.reason === "relative" ? "≤" : "<";
  return `${sign} ${measure(finding, finding.limit)}`;
}

function history({ state }) {
  if (!state) return null;
  const items = [...state.history]
    .reverse()
    .map((entry) =>
      h(
        "li",
        null,
        h(
          "p",
          null,
          h("strong", null, entry.action),
          h("span", null, `${entry.percent} %`),
          h("span", { class: "quiet" }, `${entry.actor}, `, time(entry.at)),
        ),
        h("p", { class: "reason quiet" }, entry.reason),
      ),
    );
  const older = items.splice(6);
  return h(
    "section",
    { class: "card history" },
    h("h3", null, "History"),
    h("ol", null, items),
    older.length > 0 &&
      h(
        "details",
        { "data-key": "older" },
        h("summary", null, `${older.length} older`),
        h("ol", null, older),
      ),
  );
}

function queries({ state }) {
  const readings = state?.look?.readings ?? [];
  if (!readings.length) return null;
  const list = readings.map(({ query, answer }) => [
    h("dt", null, h("code", null, query)),
    h("dd", null, h("code", null, answer)),
  ]);
  return h(
    "section",
    { class: "card" },
    h(
      "details",
      { "data-key": "queries" },
      h("summary", null, `What Prometheus was asked (${readings.length} queries)`),
      h("dl", { class: "queries" }, list),
    ),
  );
}

function commands({ plan, state }) {
  if (!state) return null;
  const can = {
    running: ["rollback", "pause", state.blocked === null ? "block" : "unblock", "advance"],
    paused: ["resume", "rollback"],
    stopped: ["start"],
    completed: ["rollback"],
  }[state.status];
  const what = {
    rollback: "Back to the last good phase, and stop:",
    pause: "Change nothing until resume:",
    block: "Let no verdict move it until unblock; the breaker still may:",
    unblock: "Let verdicts move it again:",
    advance: "To the next phase now, whatever is known:",
    resume: "Go on from the share that the flag has now:",
    start: "Begin again with the first phase:",
  };
  const list = can.map((name) =>
    h("li", null, what[name], h("code", null, `patron rollout ${name} ${plan.flag} --reason '…'`)),
  );
  return h(
    "section",
    { class: "card" },
    h(
      "details",
      { "data-key": "commands" },
      h("summary", null, "What you can do"),
      h("ol", { class: "commands" }, list),
    ),
  );
}

/* The charts */

function charts({ plan, state, series }) {
  if (!state || !series) return null;
  if (series.note)
    return h(
      "section",
      { class: "card" },
      h("h3", null, "Over time"),
      h("p", { class: "quiet" }, series.note),
    );
  const slow = `p${number(plan.criteria.quantile * 100)}`;
  const kinds = [
    ["Error rate", series.error_rate, plan.criteria.error_rate, percent],
    [`${slow} of the durations`, series.slow, plan.criteria.slow_seconds, seconds],
  ];
  return h(
    "div",
    { class: "charts" },
    kinds.map(([name, lines, limit, tell]) => chart(name, lines, limit, tell, { series, state })),
  );
}

function chart(name, lines, limit, tell, { series, state }) {
  const legend = Object.keys(lines).map((arm) => {
    const value = h("span", { class: "number" });
    const sample = s(
      "svg",
      { viewBox: "0 0 28 8", "aria-hidden": "true" },
      s("path", { class: "line", "data-arm": arm, d: "M2 4H26" }),
    );
    return { arm, value, node: h("span", null, sample, LINES[arm] ?? arm, " ", value) };
  });
  const when = h("span", { class: "quiet" });
  const picture = s("svg", { class: "chart", role: "img" });
  const read = (at) => {
    when.textContent = at === null ? "now" : clock(at);
    for (const { arm, value } of legend) {
      const known = valueAt(lines[arm], at ?? series.until, series.step);
      value.textContent = known === null ? "no calls" : tell(known);
    }
  };
  read(null);
  const told = legend
    .map(({ arm, value }) => `${LINES[arm] ?? arm} ${value.textContent}`)
    .join(", ");
  picture.setAttribute("aria-label", `${name}: ${told}; limit ${tell(limit)}`);
  picture.draw = () =>
    draw(picture, {
      lines,
      limit,
      tell,
      read,
      since: series.since,
      until: series.until,
      step: series.step,
      moves: state.history,
    });
  return h(
    "figure",
    { class: "card" },
    h(
      "figcaption",
      null,
      h("div", null, h("h3", null, name), " ", when),
      h(
        "div",
        { class: "legend" },
        legend.map(({ node }) => node),
      ),
    ),
    picture,
  );
}

// What a line says of a time: its nearest point, if that is not too far away.
function valueAt(points, at, step) {
  const away = (point) => Math.abs(point[0] - at);
  const closer = (best, point) => (best && away(best) <= away(point) ? best : point);
  const found = points.reduce(closer, null);
  return found && away(found) <= step ? found[1] : null;
}

function draw(picture, { lines, limit, tell, read, since, until: end, step, moves }) {
  const [width, height] = [picture.clientWidth, picture.clientHeight];
  if (!width) return;
  const [top, right, bottom, start] = [18, 8, 22, 52];
  const highest = Math.max(
    0,
    ...Object.values(lines)
      .flat()
      .map((point) => point[1] ?? 0),
  );
  const far = highest > 0 && limit > 5 * highest; // The limit would press the lines flat.
  const ticks = scale(far ? highest * 1.25 : Math.max(highest, limit) * 1.1);
  const x = (at) => start + ((at - since) / Math.max(end - since, 1e-9)) * (width - start - right);
  const y = (value) => height - bottom - (value / ticks.at(-1)) * (height - top - bottom);
  const parts = ticks.flatMap((tick) => [
    s("line", { class: "grid", x1: start, x2: width - right, y1: y(tick), y2: y(tick) }),
    s("text", { x: start - 6, y: y(tick) + 4, "text-anchor": "end" }, tell(tick)),
  ]);
  const labels = [
    [since, "start"],
    [(since + end) / 2, "middle"],
    [end, "end"],
  ];
  for (const [at, anchor] of labels.filter((label) => width > 400 || label[1] !== "middle")) {
    parts.push(
      s("text", { x: x(at), y: height - 5, "text-anchor": anchor }, clock(at, end - since < 600)),
    );
  }
  let edge = -Infinity;
  for (const move of moves.filter(
    (entry, index) => entry.at >= since && entry.percent !== moves[index - 1]?.percent,
  )) {
    parts.push(
      s("line", { class: "moved", x1: x(move.at), x2: x(move.at), y1: top, y2: height - bottom }),
    );
    if (x(move.at) < edge) continue;
    edge = x(move.at) + 40;
    parts.push(s("text", { x: Math.min(x(move.at) + 3, width - 40), y: 12 }, `${move.percent} %`));
  }
  if (far) {
    parts.push(
      s("text", { class: "limit-name", x: start + 4, y: top + 12 }, `limit ${tell(limit)} ↑`),
    );
  } else {
    parts.push(
      s("line", { class: "limit", x1: start, x2: width - right, y1: y(limit), y2: y(limit) }),
    );
    parts.push(
      s("text", { class: "limit-name", x: start + 4, y: y(limit) - 5 }, `limit ${tell(limit)}`),
    );
  }
  for (const [arm, points] of Object.entries(lines)) parts.push(...trace(arm, points, x, y, step));
  const cursor = s("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  picture.replaceChildren(...parts, cursor);
  picture.onpointermove = (event) => {
    const place = Math.min(Math.max(event.offsetX, start), width - right);
    const at = since + ((place - start) / (width - start - right)) * (end - since);
    fill(cursor, { x1: place, x2: place, visibility: "visible" }, []);
    read(at);
  };
  picture.onpointerleave = () => {
    cursor.setAttribute("visibility", "hidden");
    read(null);
  };
}

// One line with gaps where nothing is known; what stands alone between gaps is a dot.
function trace(arm, points, x, y, step) {
  const runs = [[]];
  let before = -Infinity;
  for (const [at, value] of points) {
    if (value === null || at - before > 1.5 * step) runs.push([]);
    if (value !== null) runs.at(-1).push([x(at), y(value)]);
    before = at;
  }
  const path = runs
    .filter((run) => run.length > 1)
    .map((run) => `M${run.map((point) => point.map((n) => n.toFixed(1)).join(" ")).join("L")}`);
  const dots = runs
    .filter((run) => run.length === 1)
    .map(([[cx, cy]]) => s("circle", { class: "dot", "data-arm": arm, cx, cy, r: 2.5 }));
  return [s("path", { class: "line", "data-arm": arm, d: path.join("") }), ...dots];
}

// The ticks of an axis from 0 to at least `highest`: round ones.
function scale(highest) {
  const rough = (highest || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const width = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  return Array.from({ length: Math.ceil(highest / width - 1e-9) + 1 }, (_, index) => index * width);
}

/* The page as a whole */

function section(rollout) {
  const { plan } = rollout;
  return h(
    "section",
    { class: "rollout", "aria-labelledby": `flag-${plan.flag}` },
    titleOf(rollout),
    headline(rollout, verdictOf(rollout)),
    banners(rollout),
    timeline(rollout),
    table(rollout),
    charts(rollout),
    commands(rollout),
    history(rollout),
    queries(rollout),
  );
}

function key(element) {
  return `${element.closest("[aria-labelledby]").getAttribute("aria-labelledby")} ${element.dataset.key}`;
}

function show(data) {
  const main = byId("rollouts");
  const open = new Set([...main.querySelectorAll("details[open]")].map(key));
  const focused =
    main.contains(document.activeElement) && document.activeElement.closest("details");
  const focusedKey = focused && key(focused);
  byId("notes").replaceChildren(...data.notes.map((note) => banner("hold", "Note.", note)));
  main.replaceChildren(...data.rollouts.map(section));
  if (!data.rollouts.length && !data.problem)
    main.append(h("p", { class: "card" }, "There is no rollout file."));
  for (const details of main.querySelectorAll("details")) {
    details.open = open.has(key(details));
    if (key(details) === focusedKey) details.querySelector("summary").focus();
  }
  drawAll();
  const news = data.rollouts
    .map(
      (rollout) =>
        `${verdictOf(rollout).word} · ${rollout.plan.flag} · ${rollout.state?.percent ?? 0} %`,
    )
    .join("; ");
  // A screen reader reads it out when it changes, and only then.
  if (byId("news").textContent !== news) byId("news").textContent = news;
  document.title = news || "Rollouts";
}

function drawAll() {
  for (const picture of document.querySelectorAll("svg.chart")) picture.draw();
}

function render(data) {
  const made = essence(data);
  if (made !== drawn) show(data);
  drawn = made;
}

// What the page is made anew for: all but the passing of time that an element follows.
function essence({ notes, rollouts }) {
  const facts = rollouts.map(({ now: at, time_left: rest, ...rollout }) => rollout);
  const turns = rollouts.map((rollout) => [
    verdictOf(rollout).word,
    isOld(rollout),
    until(rollout) > now(),
  ]);
  return JSON.stringify([notes, facts, turns]);
}

function tick() {
  for (const element of document.querySelectorAll("[data-ticks]")) element.follow(element);
  if (shown) render(shown);
  const known = answered !== null;
  const age = known ? here() - answered : 0;
  const asOf = known ? `, as of ${clock(answered + offset, true)}` : "";
  const told = trouble && known ? `${trouble} What you see is old.` : (trouble ?? "");
  byId("freshness").dataset.state = trouble ? "offline" : known ? "live" : "waiting";
  byId("freshness").textContent = trouble
    ? `Not live${asOf}${known ? `, ${duration(age)} ago` : ""}`
    : `Live${asOf}`;
  // An alert is read out when it changes.
  if (byId("problem").textContent !== told) byId("problem").textContent = told;
  byId("problem").hidden = !trouble;
}

async function ask() {
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch("rollouts.json", { cache: "no-store", signal });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

async function poll() {
  const data = await ask().catch(() => null);
  try {
    if (data) take(data);
    else trouble = "Offline: the server does not answer.";
  } catch {
    // As when the server is of a newer release than the page.
    trouble = "This page does not understand the server: reload it.";
  }
  tick();
  setTimeout(poll, POLL);
}

function take(data) {
  if (!Number.isFinite(data.now)) throw new TypeError("an answer without a time");
  trouble = data.problem;
  // The last that is known is better than nothing, as long as it says how old it is.
  if (data.as_of === null && shown) return;
  offset = data.now - here();
  if (data.as_of !== null) answered = data.as_of - offset;
  render(data);
  shown = data;
}

byId("zone").textContent =
  `Times are those of ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
addEventListener("resize", drawAll);
setInterval(tick, 1000);
poll();
