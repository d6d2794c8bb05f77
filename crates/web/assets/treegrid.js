// Keys for a tree that stands in a table: the pattern "treegrid" of the WAI-ARIA Authoring Practices, with rows that take the
// focus. Without this module the table is a table, with the same rows and links. A row says its level (`data-level`); what is
// below it are the rows after it of higher levels. A row whose subtree the server left out (`data-closed`) opens by its link.
for (const table of document.querySelectorAll("table[data-treegrid]")) {
  const rows = [...table.tBodies[0].rows];
  const level = (row) => Number(row.dataset.level);
  const isParent = (at) => at + 1 < rows.length && level(rows[at + 1]) > level(rows[at]);
  const link = (row) => row.querySelector("a[href]");

  table.setAttribute("role", "treegrid");
  rows.forEach((row, at) => {
    row.setAttribute("aria-level", row.dataset.level);
    if (isParent(at)) row.setAttribute("aria-expanded", "true");
    else if ("closed" in row.dataset) row.setAttribute("aria-expanded", "false");
    row.tabIndex = -1;
    for (const inside of row.querySelectorAll("a[href]")) inside.tabIndex = -1;
  });

  // One row is in the order of Tab, and what is in it.
  let current = rows[0];
  const choose = (row) => {
    const set = (of, index) => { of.tabIndex = index; for (const inside of of.querySelectorAll("a[href]")) inside.tabIndex = index; };
    set(current, -1);
    set(row, 0);
    current = row;
  };
  if (current) choose(current);
  const go = (row) => { if (row) { choose(row); row.focus(); row.scrollIntoView({ block: "nearest" }); } };

  // What is below a closed row is hidden, whatever is open below it.
  const show = () => {
    let closed = Infinity;
    for (const [at, row] of rows.entries()) {
      row.hidden = level(row) > closed;
      if (!row.hidden) closed = isParent(at) && row.getAttribute("aria-expanded") === "false" ? level(row) : Infinity;
    }
  };
  const open = (row, wanted) => {
    const at = rows.indexOf(row);
    if (isParent(at)) { row.setAttribute("aria-expanded", String(wanted)); show(); }
    else if (wanted && "closed" in row.dataset) link(row)?.click();
  };
  const parent = (row) => rows.slice(0, rows.indexOf(row)).reverse().find((other) => level(other) < level(row));
  const isOpen = (row) => row.getAttribute("aria-expanded") === "true";

  const keys = {
    ArrowDown: (row, seen) => go(seen[seen.indexOf(row) + 1]),
    ArrowUp: (row, seen) => go(seen[seen.indexOf(row) - 1]),
    Home: (_, seen) => go(seen[0]),
    End: (_, seen) => go(seen[seen.length - 1]),
    ArrowRight: (row, seen) => {
      if (row.getAttribute("aria-expanded") === "false") open(row, true);
      else if (isOpen(row)) go(seen[seen.indexOf(row) + 1]);
    },
    ArrowLeft: (row) => { if (isOpen(row)) open(row, false); else go(parent(row)); },
    Enter: (row) => open(row, !isOpen(row)),
  };
  table.addEventListener("keydown", (event) => {
    // Keys within a link are the link's.
    if (!rows.includes(event.target) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act(event.target, rows.filter((row) => !row.hidden));
  });
  table.addEventListener("focusin", (event) => {
    const row = event.target.closest("tr");
    if (rows.includes(row)) choose(row);
  });
}
