// Elements without markup: whatever comes from a run enters the page as text.

// el("a", {class: "x", href: "#/", onclick: f}, "text", child, [more], null)
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && key !== "list" && typeof value !== "string") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return node;
}

export function fill(node, ...children) {
  node.replaceChildren(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return node;
}

// A field with its name before it.
export function labelled(text, control, props = {}) {
  return el("label", props, el("span", {}, text), control);
}

export function choice(options, chosen, onchange) {
  const control = el("select", { onchange: () => onchange(control.value) });
  for (const [value, text] of options) control.append(el("option", { value }, text));
  control.value = chosen;
  return control;
}

// A button that stays pressed.
export function toggle(text, pressed, onchange) {
  const button = el("button", { type: "button", class: "plain", "aria-pressed": String(pressed) }, text);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(now));
    onchange(now);
  });
  return button;
}

export function section(title, ...children) {
  return el("section", { "aria-label": title }, el("h2", {}, title), ...children);
}

// A table that scrolls sideways by itself, also by keyboard.
export function table(label, heads, rows, props = {}) {
  return el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": label },
    el("table", props,
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, i) =>
        el(i ? "td" : "th", i ? {} : { scope: "row" }, cell ?? ""))))))); 
}

// Remembered in this browser, if it lets us.
export function remembered(key, otherwise) {
  try {
    const found = localStorage.getItem(`ganvas-studio-${key}`);
    return found === null ? otherwise : JSON.parse(found);
  } catch {
    return otherwise;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`ganvas-studio-${key}`, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing
  }
}
