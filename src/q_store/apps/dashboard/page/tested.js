// What the model says of the test part, while it trains of the validation part: confusion matrix, images with predictions.
import { element, fill } from "./panels.js";

const byId = (id) => document.getElementById(id);

export function tested({ part, classes, counts, shape, images }) {
  const now = part === "validation" ? "validation" : "test";
  byId("h-confusion").textContent = `Confusion on the ${now} part${part ? ", as it is now" : ""}`;
  byId("h-images").textContent = `The first ${now} images${part ? ", as it is now" : ""}`;
  byId("s-confusion").hidden = !counts;
  byId("s-images").hidden = !images;
  if (counts) matrix(classes, counts);
  if (images) fill(byId("images"), images, (image) => picture(image, shape, classes));
}

function matrix(classes, counts) {
  fill(byId("confusion-head"), [["", ...classes]], (names) => {
    const row = element("tr");
    row.append(element("td"), ...names.slice(1).map((name) => {
      const cell = element("th", name);
      cell.scope = "col";
      return cell;
    }));
    return row;
  });
  fill(byId("confusion"), counts.map((row, k) => [classes[k], row, k]), ([name, own, k]) => {
    const row = element("tr"), head = element("th", name);
    head.scope = "row";
    const total = own.reduce((a, b) => a + b, 0) || 1;
    row.append(head, ...own.map((count, n) => {
      const cell = element("td", String(count), n === k ? "right" : undefined);
      cell.dataset.share = "";
      cell.style.setProperty("--share", `${Math.round((55 * count) / total)}%`);
      return cell;
    }));
    return row;
  });
}

function picture({ truth, predicted, pixels }, [height, width], classes) {
  const right = truth === predicted;
  const item = element("li", undefined, right ? "" : "wrong");
  const canvas = element("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${classes[truth]}, predicted ${classes[predicted]}`);
  const levels = atob(pixels);
  const data = new ImageData(width, height);
  for (let k = 0; k < levels.length; k++) data.data.set([levels.charCodeAt(k), levels.charCodeAt(k), levels.charCodeAt(k), 255], 4 * k);
  canvas.getContext("2d").putImageData(data, 0, 0);
  item.append(canvas, right ? `✓ ${classes[truth]}` : `✗ ${classes[predicted]}, is ${classes[truth]}`);
  return item;
}
