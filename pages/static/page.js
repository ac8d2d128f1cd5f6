"use strict";
// The page is complete without this: it adds the key "/" and a button that asks again by itself.
const box = document.querySelector("input[name=where]");
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && box && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    box.focus();
  }
});
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
