// The parts of an explorer that ipywidgets lacks: the time brush, which draws what Python counted and asks Python for
// every change of window or view; a slider over steps that a screen reader can read; a button that copies a text.
// Instants are BigInt microseconds since 1970, pixels are numbers; somebody else's text only ever becomes textContent.

const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "var(--ink)", "#999999"];
const HATCHES = ["", "M0 6L6 0", "M2 2h2v2h-2z", "M0 0L6 6", "M0 3h6", "M3 0v6", "M0 0L6 6M0 6L6 0", "M2 1h1v1h-1zM5 4h1v1h-1z"];
const MARKS = { "▲": "#D55E00", "△": "#D55E00", "✖": "#CC79A7", "✕": "#CC79A7" };
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"];
const TALL = 96, LANE = 13, AXIS = 18;
const S = 1_000_000, DAY = 86_400 * S;
const ROUND = [1, 10, 100, 1e3, 1e4, 1e5].flatMap((ten) => [1, 2, 5].map((n) => n * ten))
  .concat([1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].map((n) => n * S))
  .concat([1, 10, 100, 1e3, 1e4, 1e5].flatMap((ten) => [1, 2, 5].map((n) => n * ten * DAY)));
const GRAPHIC = "http://www.w3.org/2000/svg";
let views = 0;

const floor = (at, by) => at - (((at % by) + by) % by);
const big = (number) => BigInt(Math.round(number));
const grouped = (number) => number.toLocaleString("en-US");
const least = (a, b) => (a < b ? a : b), most = (a, b) => (a > b ? a : b);

function fraction(at) {
  const rest = at - floor(at, 1_000_000n);
  return rest ? "." + String(rest).padStart(6, "0") : "";
}

function iso(at) {
  const text = new Date(Number(floor(at, 1_000_000n) / 1000n)).toISOString();
  return text.slice(0, text.indexOf(".")) + fraction(at) + "Z";
}

function long(time) { // a length of time as [days]d HH:MM:SS[.ffffff]
  const size = time < 0n ? -time : time, seconds = size / 1_000_000n, days = seconds / 86400n;
  const clock = [seconds / 3600n % 24n, seconds / 60n % 60n, seconds % 60n].map((n) => String(n).padStart(2, "0"));
  return `${time < 0n ? "-" : ""}${days ? days + "d " : ""}${clock.join(":")}${fraction(size)}`;
}

function tickText(at, step) {
  const text = iso(at);
  if (step >= DAY) return text.slice(0, 10);
  const clock = text.slice(text.indexOf("T") + 1, -1);
  if (clock === "00:00:00") return text.slice(5, 10) + " 00:00";
  return step >= 60 * S ? clock.slice(0, 5) : clock.replace(/(\.\d*?)0+$/, "$1");
}

function make(tag, attributes = {}, parent = null, text = null) {
  const node = tag in { svg: 1, path: 1, rect: 1, text: 1, pattern: 1, defs: 1, g: 1 }
    ? document.createElementNS(GRAPHIC, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== null) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

/** Requests to Python: one under way at a time, at most one a frame; drags replace each other, keys add up. */
function asking(model, settled, unanswered) {
  const me = `${Date.now().toString(36)}-${++views}`;
  let queue = [], last = null, number = 0, timer = null;
  const pump = () => {
    if (last !== null || !queue.length) return;
    const request = queue.shift();
    last = request.seq = `${me}-${++number}`;
    timer = setTimeout(() => { free(); unanswered(); }, 10_000);
    requestAnimationFrame(() => model.send(request));
  };
  const free = () => { clearTimeout(timer); last = null; pump(); settled(); };
  const seen = () => { if (model.get("seen") === last) free(); };
  model.on("change:seen", seen);
  return {
    ask(request) {
      const before = queue.at(-1), same = (...names) => names.every((name) => before[name] === request[name]);
      if (before && request.do === "key" && same("do", "key", "shift", "part")) before.times += 1;
      else if (before && request.do === "window" && same("do")) queue[queue.length - 1] = request;
      else queue.push(request);
      pump();
    },
    waiting: () => last !== null || queue.length > 0,
    stop() { clearTimeout(timer); queue = []; model.off("change:seen", seen); },
  };
}

function patterns(svg, id) {
  const defs = make("defs", {}, svg);
  COLOURS.forEach((colour, look) => {
    const tile = make("pattern", { id: `${id}-${look}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, defs);
    make("rect", { width: 6, height: 6, style: `fill:${colour}` }, tile);
    make("path", { d: HATCHES[look], style: "stroke:var(--paper);fill:var(--paper);opacity:.75" }, tile);
  });
}

function brush({ model, el }) {
  const id = `rk-${++views}`;
  const root = make("div", { class: "rk-brush", "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": "Time brush" }, el);
  const bar = make("div", { class: "rk-row" }, root);
  const says = make("div", { class: "rk-says" }, root);
  const plot = make("div", { class: "rk-plot" }, root);
  const svg = make("svg", { role: "img" }, plot);
  const shades = [make("div", { class: "rk-shade" }, plot), make("div", { class: "rk-shade" }, plot)];
  const focus = make("div", { class: "rk-focus" }, plot);
  const slider = (part, kind, name, title) => make("div", {
    class: kind, role: "slider", tabindex: 0, "data-part": part, "aria-label": name, "aria-orientation": "horizontal", title,
  }, plot);
  const hint = "arrows: one event; Shift+arrows: one bin; PageUp/PageDown: one window; Home/End";
  const body = slider("both", "rk-body", "whole window", `Drag to move the window; ${hint}`);
  const start = slider("start", "rk-handle rk-start", "window start", `First instant inside the window; ${hint}`);
  const end = slider("end", "rk-handle rk-end", "window end", `First instant after the window; ${hint}`);
  const tip = make("div", { class: "rk-tip", hidden: "" }, plot);
  const legend = make("ul", { class: "rk-legend", "aria-label": "Legend, bars from the bottom up" }, root);
  const problem = make("div", { class: "rk-problem", role: "alert", hidden: "" }, root);
  const requests = asking(model, () => update(), () => {
    problem.textContent = "Python has not answered for 10 seconds: the kernel is busy, or gone.";
    problem.hidden = false;
  });
  plot.insertBefore(start, body); // the order of tab stops: start, window, end
  let drag = null, local = null, width = 0, highest = 0;

  const ends = (name) => model.get(name)?.map(BigInt);
  const shown = () => local ?? ends("window");
  const view = () => ends("view");
  const x = (at) => Number(at - view()[0]) / Number(view()[1] - view()[0]) * width;
  const inside = (at) => most(ends("limits")[0], least(ends("limits")[1], at));
  const perPixel = () => Number(view()[1] - view()[0]) / Math.max(width, 1);

  function instant(event) { // where the pointer is, at the roundest time within that pixel
    const at = view()[0] + big((event.clientX - plot.getBoundingClientRect().left) * perPixel());
    const step = BigInt(ROUND.findLast((one) => one <= perPixel()) ?? 1);
    return inside(most(view()[0], least(view()[1], floor(at + step / 2n, step))));
  }

  for (const [how, text, title] of [
    ["earlier", "◀ Earlier", "Earlier: move the view back by half"], ["later", "Later ▶", "Later: move the view on by half"],
    ["window", "Zoom to window", "Zoom to window (or double-click the picture)"], ["out", "Zoom out", "Zoom out three times"],
    ["all", "Whole recording", "Whole recording: show all of it"],
  ]) {
    make("button", { type: "button", title, "aria-label": title }, bar, text)
      .addEventListener("click", () => requests.ask({ do: "zoom", how }));
  }

  // ---- drawing
  function bars() {
    const { kinds = [], counts = [] } = model.get("bins"), marks = model.get("marks"), bins = counts[0]?.length ?? 1;
    width = plot.clientWidth;
    const high = TALL + LANE * marks.length + AXIS, step = width / bins;
    const sums = Array.from({ length: bins }, (_, place) => counts.reduce((sum, row) => sum + row[place], 0));
    const base = new Array(bins).fill(0), top = Math.max(1, ...sums);
    highest = Math.max(0, ...sums);
    svg.replaceChildren();
    svg.setAttribute("height", high);
    patterns(svg, id);
    counts.forEach((row, number) => {
      let path = "";
      row.forEach((count, place) => {
        if (!count) return;
        const tall = Math.max(count / top * (TALL - 8), 1), gap = step > 3 ? 0.5 : 0;
        path += `M${place * step + gap} ${TALL - base[place]}h${step - 2 * gap}v${-tall}h${2 * gap - step}z`;
        base[place] += tall;
      });
      make("path", { d: path, fill: `url(#${id}-${kinds[number].look})`, "data-kind": number }, svg);
    });
    make("path", { d: `M0 ${TALL + 0.5}H${width}`, class: "rk-axis" }, svg);
    marks.forEach((mark, lane) => lanes(mark, TALL + LANE * (lane + 1) - 3, step));
    axis(high - 5);
    const total = sums.reduce((a, b) => a + b, 0), peak = sums.indexOf(highest);
    const told = `${grouped(total)} events from ${iso(view()[0])} to ${iso(view()[1])}`;
    svg.setAttribute("aria-label", total ? `${told}, most from ${iso(binAt(peak))} (${grouped(highest)})` : told);
    for (const one of [...shades, start, body, end, focus]) one.style.height = `${TALL + LANE * marks.length}px`;
  }

  function lanes(mark, y, step) {
    const style = `fill:${MARKS[mark.glyph] ?? "var(--ink)"}`;
    make("text", { x: -24, y, style }, svg, mark.glyph);
    mark.bins.forEach(([place], number) => {
      const near = (other) => other && Math.abs(other[0] - place) * step < 10, middle = (place + 0.5) * step;
      if (near(mark.bins[number - 1]) || near(mark.bins[number + 1])) {
        make("rect", { x: middle - Math.max(step - 1, 1) / 2, y: y - 8, width: Math.max(step - 1, 1), height: 8, style }, svg);
      } else make("text", { x: middle, y, "text-anchor": "middle", style }, svg, mark.glyph);
    });
  }

  function axis(y) {
    const step = ROUND.find((one) => one / perPixel() >= (one < S ? 130 : 92)) ?? ROUND.at(-1), by = BigInt(step);
    for (let at = floor(view()[0] + by - 1n, by); at <= view()[1]; at += by) {
      make("path", { d: `M${x(at)} ${y - 12}v-4`, class: "rk-axis" }, svg);
      const text = tickText(at, step), near = x(at) < text.length * 3.2 - 26; // else cut off at the left
      make("text", { x: near ? -26 : x(at), y, "text-anchor": near ? "start" : "middle" }, svg, text);
    }
  }

  function legends() {
    const entry = (sign, text) => make("li", {}, legend).append(sign, make("span", {}, null, text));
    legend.replaceChildren();
    for (const kind of model.get("bins").kinds ?? []) {
      const swatch = make("svg", { width: 13, height: 13, "aria-hidden": "true" });
      make("rect", { width: 13, height: 13, fill: `url(#${id}-${kind.look})` }, swatch);
      entry(swatch, `${kind.name} ${grouped(kind.events)}`);
    }
    for (const mark of model.get("marks")) {
      const count = mark.bins.reduce((sum, [, number]) => sum + number, 0);
      const style = `color:${MARKS[mark.glyph] ?? "var(--ink)"}`;
      entry(make("b", { "aria-hidden": "true", style }, null, mark.glyph), `${mark.name} ${grouped(count)}`);
    }
    entry("▯", `a bar is ${long(BigInt(model.get("bins").width))}, the highest ${grouped(highest)}`);
  }

  function chosen() {
    const [from, to] = shown(), [low, high] = ends("limits"), [first] = ends("span");
    const clamp = (at) => Math.min(Math.max(x(at), 0), width), [left, right] = [clamp(from), clamp(to)];
    [start.style.left, end.style.left, body.style.left] = [left, right, left].map((at) => `${at}px`);
    body.style.width = `${right - left}px`;
    Object.assign(shades[0].style, { left: 0, width: `${left}px` });
    Object.assign(shades[1].style, { left: `${right}px`, width: `${width - right}px` });
    plot.classList.toggle("rk-whole", whole());
    const said = (at) => `${iso(at)}, T${at < first ? "" : "+"}${long(at - first)}`;
    for (const [node, at, min, max] of [[start, from, low, to - 1n], [end, to, from + 1n, high], [body, from, low, high - to + from]]) {
      node.classList.toggle("rk-away", at < view()[0] || at > view()[1]);
      node.classList.toggle("rk-past", (node === start && at > view()[1]) || (node === end && at < view()[0]));
      for (const [name, value] of [["min", min], ["max", max], ["now", at]]) node.setAttribute(`aria-value${name}`, String(value - low));
      node.setAttribute("aria-valuetext", node === body ? `${said(from)} to ${iso(to)}, ${long(to - from)} long` : said(at));
    }
    const known = local === null || String(local) === String(ends("window"));
    says.textContent = `${iso(from)} → ${iso(to)} · ${long(to - from)} · ${known ? grouped(model.get("counted")) : "…"} events inside`;
    const at = model.get("focus") === null ? null : BigInt(model.get("focus"));
    focus.hidden = at === null || at < view()[0] || at > view()[1];
    if (!focus.hidden) focus.style.left = `${x(at)}px`;
  }

  function update(all = false) {
    if (drag === null && !requests.waiting()) local = null;
    problem.textContent = model.get("problem");
    problem.hidden = !problem.textContent;
    for (const node of [bar, says, plot, legend]) node.hidden = model.get("view") === null;
    if (plot.hidden) return;
    if (all || width !== plot.clientWidth) { bars(); legends(); }
    chosen();
  }
  const redraw = () => update(true), refresh = () => update();

  // ---- mouse and touch
  const whole = () => shown()[0] <= view()[0] + big(perPixel()) * 4n && shown()[1] >= view()[1] - big(perPixel()) * 4n;
  const tell = (done) => requests.ask({ do: "window", start: String(local[0]), end: String(local[1]), part: drag.part, done });
  plot.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || drag !== null) return;
    let part = event.target.closest("[data-part]")?.dataset.part ?? "new";
    if (part === "both" && whole()) part = "new"; // it could not be moved, and there is nowhere else to begin
    drag = { part, id: event.pointerId, x: event.clientX, at: instant(event), was: shown(), moved: false };
    plot.setPointerCapture(event.pointerId);
    ({ start, end, both: body })[part]?.focus({ preventScroll: true });
    event.preventDefault();
  });
  plot.addEventListener("pointermove", (event) => {
    hover(event);
    if (drag === null || event.pointerId !== drag.id) return;
    drag.moved ||= Math.abs(event.clientX - drag.x) >= 3;
    if (!drag.moved) return;
    local = dragged(instant(event));
    tell(false);
    chosen();
  });
  function dragged(at) {
    const [from, to] = drag.was, [low, high] = ends("limits");
    if (drag.part === "start") return [least(at, to - 1n), to];
    if (drag.part === "end") return [from, most(at, from + 1n)];
    if (drag.part === "new") return at < drag.at ? [at, drag.at] : [drag.at, most(at, drag.at + 1n)];
    const by = most(low - from, least(high - to, at - drag.at));
    return [from + by, to + by];
  }
  plot.addEventListener("pointerup", (event) => {
    if (drag === null || event.pointerId !== drag.id) return;
    if (drag.moved) tell(true);
    else if (drag.part === "new" || drag.part === "both") {
      const at = view()[0] + big((event.clientX - plot.getBoundingClientRect().left) * perPixel());
      requests.ask({ do: "focus", at: String(at), reach: String(big(perPixel() * 6)) });
    }
    drag = null;
    update();
  });
  plot.addEventListener("pointercancel", () => { // the finger scrolls the page instead
    if (drag?.moved) { local = drag.was; tell(true); }
    drag = null;
    update();
  });
  plot.addEventListener("dblclick", () => requests.ask({ do: "zoom", how: whole() ? "all" : "window" }));

  const binAt = (place) => view()[0] + BigInt(model.get("bins").width) * BigInt(place);
  function hover(event) {
    const { kinds = [], counts = [] } = model.get("bins"), at = event.clientX - plot.getBoundingClientRect().left;
    const place = Math.floor(at / width * (counts[0]?.length ?? 1));
    const lines = kinds.map((kind, number) => [kind.name, counts[number][place]]).reverse()
      .concat(model.get("marks").map((mark) => [`${mark.glyph} ${mark.name}`, mark.bins.find(([bin]) => bin === place)?.[1]]))
      .filter(([, number]) => number).map(([name, number]) => `${grouped(number)}  ${name}`);
    tip.hidden = !lines.length || event.pointerType === "touch";
    tip.textContent = [`${iso(binAt(place))} +${long(BigInt(model.get("bins").width))}`, ...lines].join("\n");
    Object.assign(tip.style, at < width / 2 ? { left: `${at + 14}px`, right: "" } : { left: "", right: `${width - at + 14}px` });
  }
  plot.addEventListener("pointerleave", () => { tip.hidden = true; });

  // ---- keyboard
  plot.addEventListener("keydown", (event) => {
    const part = event.target.dataset?.part;
    if (!part || !KEYS.includes(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    requests.ask({ do: "key", key: event.key, shift: event.shiftKey, part, times: 1 });
  });

  // A grid of the same explorer says which of its cells was clicked.
  const cell = (event) => {
    if (!event.target.closest(".replaykit-explorer")?.contains(el)) return;
    event.preventDefault(); // says that somebody took it
    requests.ask({ do: "cell", ...event.detail });
  };
  document.addEventListener("replaykit-cell", cell);

  // JupyterLab takes arrows, Enter and letters from all that is not text, unless what has the focus says no itself.
  const own = (event) => {
    if (event.target.closest?.(".replaykit-explorer")?.contains(el) && !event.target.matches(":read-write"))
      event.target.toggleAttribute("data-lm-suppress-shortcuts", !(event.ctrlKey || event.altKey || event.metaKey));
  };
  window.addEventListener("keydown", own, true);

  const watched = { bins: redraw, marks: redraw, view: redraw, limits: refresh, window: refresh, counted: refresh, focus: refresh, problem: refresh };
  let frame = 0; // several traits of one answer are drawn once
  const later = {};
  for (const [name, draw] of Object.entries(watched)) {
    later[name] = () => {
      later.all ||= draw === redraw;
      frame ||= requestAnimationFrame(() => { frame = 0; const all = later.all; later.all = false; update(all); });
    };
    model.on(`change:${name}`, later[name]);
  }
  const sized = new ResizeObserver(() => update());
  sized.observe(plot);
  update(true);
  return () => {
    cancelAnimationFrame(frame);
    sized.disconnect();
    requests.stop();
    document.removeEventListener("replaykit-cell", cell);
    window.removeEventListener("keydown", own, true);
    for (const name of Object.keys(watched)) model.off(`change:${name}`, later[name]);
  };
}

/** Call draw now and whenever one of the traits changes; return what ends that. */
function following(model, names, draw) {
  draw();
  for (const name of names) model.on(`change:${name}`, draw);
  return () => { for (const name of names) model.off(`change:${name}`, draw); };
}

function scrubber({ model, el }) {
  const row = make("div", { class: "rk-brush rk-row rk-scrub" }, el);
  const input = make("input", { type: "range", min: 0, step: 1, "aria-label": "Step", title: "Step: drag, or arrow keys" }, row);
  const go = (to) => { model.set("value", Math.min(Math.max(to, 0), model.get("most"))); model.save_changes(); };
  const button = (text, title, to) => make("button", { type: "button", title, "aria-label": title }, row, text)
    .addEventListener("click", () => go(to()));
  row.prepend(input);
  button("◀", "Step before", () => model.get("value") - 1);
  button("▶", "Next step", () => model.get("value") + 1);
  const says = make("output", {}, row);
  input.addEventListener("input", () => go(Number(input.value)));
  return following(model, ["value", "most", "said"], () => {
    Object.assign(input, { max: model.get("most"), value: model.get("value"), disabled: model.get("most") === 0 });
    input.setAttribute("aria-valuetext", model.get("said"));
    says.textContent = model.get("said");
  });
}

function copier({ model, el }) {
  const row = make("div", { class: "rk-brush rk-row" }, el), title = model.get("title");
  const button = make("button", { type: "button", title }, row, model.get("label")); // called what it says
  const says = make("span", { role: "status" }, row);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(model.get("text"));
    } catch { // no secure context, or not allowed
      const area = make("textarea", {}, row);
      area.value = model.get("text");
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    says.textContent = "copied";
    setTimeout(() => { says.textContent = ""; }, 2000);
  });
  return following(model, ["text"], () => { button.disabled = !model.get("text"); row.hidden = !model.get("text"); });
}

const PARTS = { brush, scrubber, copier };

export default { render: (context) => PARTS[context.model.get("part")](context) };
