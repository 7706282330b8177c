// Search, theme and copying. The page is complete without this script.
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const storedTheme = (value) => {
    try {
      if (value) localStorage.setItem("asyncapi-theme", value);
      return localStorage.getItem("asyncapi-theme");
    } catch {
      return null; // storage may be blocked for local files
    }
  };

  const theme = document.getElementById("theme");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const show = (name) => {
    if (name) root.dataset.theme = name;
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme");
  };
  show(storedTheme());
  theme.hidden = false;
  theme.addEventListener("click", () => show(storedTheme(isDark() ? "light" : "dark") || (isDark() ? "light" : "dark")));

  const search = document.getElementById("search");
  const matches = document.getElementById("found");
  const sections = all("section[data-event]");
  const links = new Map(all("nav a[href^='#']").map((link) => [link.getAttribute("href").slice(1), link]));
  const texts = new Map(sections.map((section) => [section, section.textContent.toLowerCase()]));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const section of sections) {
      const hit = words.every((word) => texts.get(section).includes(word));
      section.hidden = !hit;
      const link = links.get(section.id);
      if (link) link.parentElement.hidden = !hit;
      count += hit;
    }
    matches.textContent = words.length ? `${count} of ${sections.length} events` : "";
  };
  search.parentElement.hidden = false;
  search.addEventListener("input", filter);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
    }
  });
  window.addEventListener("hashchange", () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      search.value = "";
      filter();
      target.scrollIntoView();
    }
  });

  if ("IntersectionObserver" in window) {
    const visible = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) entry.isIntersecting ? visible.add(entry.target) : visible.delete(entry.target);
      const first = all("section[id]").find((section) => visible.has(section));
      for (const [id, link] of links) link.classList.toggle("here", Boolean(first) && id === first.id);
    }, { rootMargin: "-64px 0px -40% 0px" });
    all("section[id]").forEach((section) => observer.observe(section));
  }

  if (navigator.clipboard) {
    for (const block of all(".copied")) {
      const button = document.createElement("button");
      button.className = "button";
      button.type = "button";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(block.querySelector("pre").textContent);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Not allowed";
        }
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
      block.append(button);
    }
  }
})();
