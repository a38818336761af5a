// The frame: which page is shown, the colours, the connection.

import { el, fill, remember, remembered } from "./dom.js";
import { connect, isLive } from "./source.js";
import { showRuns } from "./runs.js";
import { showRun } from "./run.js";
import { showSideBySide } from "./sidebyside.js";
import { showPlayground } from "./playground.js";
import { redrawAll } from "./curves.js";

const main = document.getElementById("main");
let leave = () => {};
let turn = 0;

async function route() {
  const mine = ++turn;
  leave();
  leave = () => {};
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const [, page, id] = path.split("/").map(decodeURIComponent);
  const chosen = new URLSearchParams(query || "");
  const pages = { run: showRun, compare: showSideBySide, play: showPlayground };
  const show = isLive ? pages[page] || showRuns : showRun;
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.getAttribute("href") === (page === "play" ? "#/play" : "#/");
    link.toggleAttribute("aria-current", isHere);
  }
  document.title = "ganvas studio";
  try {
    const left = await show(main, id, chosen, () => mine === turn);
    if (mine === turn) leave = left || (() => {});
    else if (left) left();
  } catch (error) {
    if (mine !== turn) return;
    fill(main, el("section", { class: "problem", role: "alert" },
      el("h2", {}, "This cannot be shown"), el("p", {}, error.message),
      el("p", {}, el("a", { href: "#/" }, "All runs"))));
  }
  main.dataset.page = page || "runs";
}

const THEMES = { auto: "as the system has them", light: "light", dark: "dark" };

function setTheme(theme) {
  const root = document.documentElement;
  if (theme === "auto") root.removeAttribute("data-theme");
  else root.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.textContent = { auto: "◐", light: "☀", dark: "☾" }[theme];
  button.setAttribute("aria-label", `Colours: ${THEMES[theme]}`);
  button.title = `Colours: ${THEMES[theme]}`;
  redrawAll();
}

let theme = remembered("theme", "auto");
if (!(theme in THEMES)) theme = "auto";
document.getElementById("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  theme = names[(names.indexOf(theme) + 1) % names.length];
  remember("theme", theme);
  setTheme(theme);
});
setTheme(theme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);

connect((state) => {
  const place = document.getElementById("connection");
  place.textContent = state === "live" ? "live" : "connection lost, trying again…";
  place.className = `connection ${state}`;
});
if (!isLive) {
  document.querySelector("nav").remove();
  document.querySelector(".brand").removeAttribute("href");
}
addEventListener("hashchange", route);
route();
