"use strict";

// Colours: as the system has them until the button is pressed.
const theme = document.getElementById("theme");
const root = document.documentElement;

function showTheme(dark) {
  root.style.colorScheme = dark ? "dark" : "light";
  theme.setAttribute("aria-pressed", String(dark));
}

const system = matchMedia("(prefers-color-scheme: dark)");
theme.setAttribute("aria-pressed", String(system.matches));
theme.addEventListener("click", () => showTheme(theme.getAttribute("aria-pressed") !== "true"));
