"use strict";
// The page is complete without this. It adds the key "/", the values of a field that is being
// written, a span of the chart that is drawn with the pointer, a button that copies a command, and
// one that asks by itself.
const box = document.querySelector("input[name=where]");
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && box && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    box.focus();
  }
});
const list = document.getElementById("completions");
if (box && list) {
  const fields = [...list.children];
  const times = new Set(["last", "from", "to", "since", "around"]);
  let shown = "";
  box.addEventListener("input", async () => {
    const typed = /^(.*?)([a-z][a-z_.]*)( *(?:==|!=) *)"?[^"\s]*$/.exec(box.value);
    const wanted = typed ? typed.slice(1).join("") : "";
    if (wanted === shown) { return; }
    shown = wanted;
    if (!typed) { list.replaceChildren(...fields); return; }
    const query = new URLSearchParams({field: typed[2]});
    for (const [name, text] of new FormData(box.form)) {
      if (times.has(name) && text) { query.set(name, text); }
    }
    const answer = await fetch(`/values.json?${query}`);
    if (!answer.ok || wanted !== shown) { return; }
    list.replaceChildren(...(await answer.json()).map((text) => new Option("", wanted + text)));
  });
}
for (const slots of document.querySelectorAll(".slots")) {
  const links = [...slots.querySelectorAll("a")];
  let first = -1;
  let last = -1;
  const under = (event) => links.indexOf(
    document.elementFromPoint(event.clientX, event.clientY)?.closest("a"));
  const mark = () => links.forEach((link, at) => link.classList.toggle("picked",
    first >= 0 && at >= Math.min(first, last) && at <= Math.max(first, last)));
  slots.addEventListener("dragstart", (event) => event.preventDefault());
  slots.addEventListener("pointerdown", (event) => {
    first = last = event.button === 0 ? under(event) : -1;
  });
  document.addEventListener("pointermove", (event) => {
    if (first < 0) { return; }
    last = under(event) >= 0 ? under(event) : last;
    mark();
  });
  document.addEventListener("pointerup", () => {
    const [from, to] = [first, last].sort((a, b) => a - b);
    first = -1;
    mark();
    if (from < 0 || from === to) { return; }  // a click: the link leads there
    const target = new URL(links[from].href.baseVal, location.href);
    target.searchParams.set("to", new URL(links[to].href.baseVal, location.href)
      .searchParams.get("to"));
    location.assign(target);
  });
}
for (const copy of document.querySelectorAll("button[data-copy]")) {
  copy.hidden = !navigator.clipboard;  // there is none where the page came without TLS from afar
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
    copy.textContent = "Copied";
  });
}
const button = document.getElementById("live");
if (button) {
  let news = null;
  const show = () => { button.setAttribute("aria-pressed", String(news !== null)); };
  const follow = () => {
    news = new EventSource("/live");
    news.addEventListener("news", () => {
      if (document.visibilityState === "visible" && document.activeElement === document.body) {
        location.reload();
      }
    });
    show();
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    if (news) { news.close(); news = null; sessionStorage.removeItem("live"); show(); } else {
      sessionStorage.setItem("live", "1");
      follow();
      button.blur();
    }
  });
  if (sessionStorage.getItem("live")) { follow(); }
}
