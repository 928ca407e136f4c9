// What a card of jobs asks before it asks anybody: the question with Ask and Cancel, progress with Stop, and the line
// that says what came of it. Texts only ever become textContent. Each question has a number, and a click says which one
// it means, so that a late click never confirms another.

const GLYPHS = { done: "✓", failed: "✗", error: "!", look: "~", void: "∅", stopped: "■", note: "·" };

function make(tag, attributes, parent, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  parent.append(node);
  return node;
}

let views = 0;

function render({ model, el }) {
  const root = make("div", { class: "rk-ask", tabindex: "-1" }, el), id = `rk-ask-${++views}`;
  const box = make("div", { class: "rk-question", role: "group", "aria-label": "Confirm" }, root);
  const says = make("p", { id, "aria-live": "polite" }, box), about = make("p", { class: "rk-about" }, box);
  const yes = make("button", { type: "button", class: "rk-yes", "aria-describedby": id }, box, "Ask");
  const no = make("button", { type: "button", title: "Nobody is asked", "aria-describedby": id }, box, "Cancel");
  const work = make("div", { class: "rk-work" }, root);
  const bar = make("progress", { "aria-label": "Jobs asked about" }, work), far = make("span", {}, work);
  const stop = make("button", { type: "button", title: "End after the job at hand" }, work, "Stop");
  const line = make("p", { class: "rk-line", role: "status" }, root);
  let opener = null, open = false, answered = 0;

  const card = () => root.closest(".replaykit-jobs");
  const inside = (node) => node && card()?.contains(node);
  const usable = (node) => node?.isConnected && !node.disabled && node.checkVisibility();
  const send = (what) => model.send({ do: what, number: model.get("number") });
  const answer = (what) => {
    if (answered === model.get("number")) return;
    answered = model.get("number");
    yes.setAttribute("aria-disabled", "true"); // truly disabled, it would drop the focus
    send(what);
  };
  yes.addEventListener("click", () => answer("ask"));
  no.addEventListener("click", () => answer("cancel"));
  stop.addEventListener("click", () => { stop.textContent = "Stopping…"; send("stop"); });

  // Who had the focus inside goes on from where it was; nobody who is elsewhere is disturbed.
  const go = (...places) => requestAnimationFrame(() => places.find(usable)?.focus());

  const draw = () => {
    const question = model.get("question"), running = model.get("running"), was = document.activeElement;
    const lost = root.contains(was) && was !== root;
    says.textContent = question;
    about.textContent = model.get("about");
    yes.title = question;
    box.hidden = !question;
    if (question && answered !== model.get("number")) yes.removeAttribute("aria-disabled");
    if (question && !open && inside(was)) {
      if (!root.contains(was)) opener = was;
      go(no);
    }
    open = Boolean(question);
    work.hidden = !running;
    far.textContent = running;
    if (model.get("total")) Object.assign(bar, { max: model.get("total"), value: model.get("done") });
    else bar.removeAttribute("value");
    stop.hidden = !model.get("stoppable");
    if (!running) stop.textContent = "Stop";
    const [status, text] = [model.get("status"), model.get("line")];
    if (line.dataset.told !== `${status} ${text}`) {
      line.dataset.told = `${status} ${text}`;
      line.dataset.status = status;
      line.replaceChildren();
      if (text) make("b", {}, line, `${GLYPHS[status] ?? "·"} ${status} `);
      line.append(text);
    }
    const waits = was === root && !running && !question; // for who asked, until it could go back
    if ((lost && !question && !usable(was)) || waits) go(stop, opener, root);
  };

  // JupyterLab takes Enter, Space and letters from all that is not text, unless what has the focus says no itself.
  const own = (event) => {
    if (!inside(event.target) || event.target.matches(":read-write")) return;
    const theirs = event.ctrlKey || event.altKey || event.metaKey || event.key === "Escape";
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !theirs);
  };
  window.addEventListener("keydown", own, true);
  model.on("change", draw);
  draw();
  return () => {
    window.removeEventListener("keydown", own, true);
    model.off("change", draw);
  };
}

export default { render };
