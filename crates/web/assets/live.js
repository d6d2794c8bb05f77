// Takes over what changed on the page while it is open: the server sends fragments, each an element with an id and
// `data-live`, which replaces the element of that id. What somebody has focused or opened stays so.
const root = document.querySelector("[data-events]");

if (root && "EventSource" in window) {
  const says = document.getElementById("live-says");
  const say = (words) => { if (says && says.textContent !== words) says.textContent = words; };
  let own = root.dataset.own;

  // A focused element, or an opened one, is found again by its id.
  const keep = (old, fresh) => {
    for (const opened of old.querySelectorAll("details[open][id]")) {
      const again = fresh.querySelector(`details[id="${CSS.escape(opened.id)}"]`);
      if (again) again.open = true;
    }
    const focused = document.activeElement;
    return focused && focused.id && old.contains(focused) ? focused.id : null;
  };

  const swap = (fresh) => {
    const old = document.getElementById(fresh.id);
    if (!old || old.outerHTML === fresh.outerHTML) return;
    // What somebody is writing is not taken away; the form says why, should it have come too late.
    if ([...old.querySelectorAll("textarea")].some((field) => field.value !== field.defaultValue)) return;
    const focused = keep(old, fresh);
    old.replaceWith(fresh);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  // What only this reader may see is not in what all share: when it may have changed, the page is asked for again.
  const askAgain = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const fresh of page.querySelectorAll("[data-own-part]")) swap(document.importNode(fresh, true));
  };

  const source = new EventSource(root.dataset.events);
  source.addEventListener("open", () => say("live"));
  source.addEventListener("error", () => {
    say(source.readyState === EventSource.CLOSED ? "not live any more: reload the page" : "reconnecting");
  });
  source.addEventListener("change", (event) => {
    say("live");
    const parts = new DOMParser().parseFromString(event.data, "text/html");
    for (const fresh of parts.querySelectorAll("[data-live]")) swap(document.importNode(fresh, true));
    const stands = document.getElementById("standing")?.dataset.own;
    if (stands && stands !== own) { own = stands; askAgain().catch(() => {}); }
  });
  source.addEventListener("over", () => { source.close(); say("it is over: nothing changes any more"); });
}
