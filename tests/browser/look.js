// What the page looks like; see `Look` in cases/browser/atlas.rs.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const colour = (value) => value.match(/[\d.]+/g).map(Number);
  const brightness = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b;
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => (c > 10 ? ((c / 255 + 0.055) / 1.055) ** 2.4 : c / 3295));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const style = (element) => getComputedStyle(element);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const value = colour(style(at).backgroundColor);
      if (value.length === 3 || value[3] > 0) return value;
    }
    return [255, 255, 255];
  };
  const texts = all("p, a, h1, h2, th, td, dt, dd, summary, caption, figcaption, .note, button, pre span");
  const kinds = new Map(texts.map((e) => [`${e.tagName} ${e.className} ${e.parentElement.tagName}`, e]));
  const picture = document.querySelector("svg .ground");
  const file = (link) => {
    const url = new URL(link.href);
    const here = url.pathname === location.pathname;
    if (here && url.hash && !document.getElementById(url.hash.slice(1))) return "";
    return decodeURIComponent(url.pathname);
  };
  const named = (element) => {
    const ids = element.getAttribute("aria-labelledby")?.split(" ") ?? [];
    return element.ariaLabel || ids.some((id) => document.getElementById(id)?.textContent.trim());
  };
  return {
    width: document.documentElement.scrollWidth, // innerWidth grows with it on phones
    ground: brightness(colour(style(document.body).backgroundColor)),
    text: brightness(colour(style(document.body).color)),
    title: document.title,
    headings: all("h1").length,
    rows: all("tbody tr").length,
    links: [...all("a[href]"), ...all("link[rel=stylesheet]")].map(file),
    bits: all("svg [data-bits]").reduce((sum, e) => sum + Number(e.dataset.bits), 0),
    picture: picture && brightness(colour(style(picture).fill)),
    code: all("pre code").map((e) => [e.textContent.length, e.querySelectorAll("span").length]),
    contrast: Math.min(...[...kinds.values()].map((e) => contrast(colour(style(e).color), ground(e)))),
    nameless: all("svg, [role=region]").filter((e) => !named(e)).length,
  };
})();
