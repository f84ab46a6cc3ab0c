"use strict";
// Comforts: everything works without them.
(() => {
  // Copy buttons.
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    if (!source || !navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const before = button.textContent;
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => (button.textContent = before), 1500);
    });
  }

  // A box that narrows a list while somebody types; of a list that is not all here, the server knows the rest.
  for (const box of document.querySelectorAll("input[data-narrows]")) {
    const list = document.getElementById(box.dataset.narrows);
    const told = document.getElementById(`${box.dataset.narrows}-told`);
    if (!list) continue;
    const { asks } = box.dataset;
    const rows = [...list.querySelectorAll("[data-words]")];
    const groups = [...list.querySelectorAll("details")];
    const opened = groups.map((group) => group.open);
    const narrow = () => {
      const words = box.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const fits = words.every((word) => row.dataset.words.includes(word));
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      groups.forEach((group, place) => {
        const left = group.querySelector("[data-words]:not([hidden])");
        group.hidden = words.length > 0 && !left;
        group.open = words.length > 0 ? Boolean(left) : opened[place];
      });
      const rest = asks ? `; press Enter to look through all ${asks}` : "";
      if (told) told.textContent = words.length ? `${shown} of ${rows.length} shown${rest}` : "";
    };
    box.addEventListener("input", narrow);
    if (!asks) box.form?.addEventListener("submit", (event) => event.preventDefault());
    if (box.value && !asks) narrow();
  }

  // The operator of the other plan that belongs to the one under the pointer, or to the one with the focus.
  for (const line of document.querySelectorAll("[data-mate]")) {
    const mate = document.getElementById(line.dataset.mate);
    if (!mate) continue;
    const show = (is) => () => [line, mate].forEach((one) => one.classList.toggle("mate", is));
    for (const event of ["pointerenter", "focusin"]) line.addEventListener(event, show(true));
    for (const event of ["pointerleave", "focusout"]) line.addEventListener(event, show(false));
  }

  // On a narrow screen the latest part of a chart is seen first.
  for (const box of document.querySelectorAll(".chart-box")) box.scrollLeft = box.scrollWidth;

  // The value under the pointer; the table below the chart has them all.
  for (const box of document.querySelectorAll("[data-readout]")) {
    const chart = box.querySelector("svg.chart");
    const told = document.getElementById(box.dataset.readout);
    const rows = [...document.querySelectorAll(`#${box.dataset.readout}-values tr[data-at]`)];
    const cursor = chart?.querySelector(".chart-cursor");
    if (!chart || !told || !cursor || !rows.length) continue;
    const { left, right, start, end } = chart.dataset;
    const moments = rows.map((row) => Number(row.dataset.at));
    chart.addEventListener("pointermove", (event) => {
      const frame = chart.getBoundingClientRect();
      const x = ((event.clientX - frame.left) / frame.width) * chart.viewBox.baseVal.width;
      const at = Number(start) + ((x - left) / (right - left)) * (end - start);
      let best = 0;
      moments.forEach((moment, place) => {
        if (Math.abs(moment - at) < Math.abs(moments[best] - at)) best = place;
      });
      const place = Number(left) + ((moments[best] - start) / (end - start)) * (right - left);
      cursor.setAttribute("x1", place);
      cursor.setAttribute("x2", place);
      cursor.setAttribute("visibility", "visible");
      told.textContent = [...rows[best].cells].map((cell) => cell.textContent.trim()).filter(Boolean).join(" · ");
    });
    chart.addEventListener("pointerleave", () => {
      cursor.setAttribute("visibility", "hidden");
      told.textContent = "";
    });
  }
})();
