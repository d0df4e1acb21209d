/** The page: its tabs, and what happens when it opens. */
import { CameraPanel } from "./camera.js";
import { ClipPanel } from "./clip.js";
import { button, element } from "./dom.js";
import { getKeyer } from "./engine.js";
import { say } from "./messages.js";
import { goOffline, storeEverything } from "./offline.js";
import { PhotoPanel } from "./photo.js";

const PANELS = ["photo", "camera", "clip"] as const;
type PanelName = (typeof PANELS)[number];

const photo = new PhotoPanel();
const camera = new CameraPanel();
new ClipPanel();

/** Shows one panel; with `focus`, the keyboard goes to its tab. */
function open(name: PanelName, focus = false): void {
  for (const each of PANELS) {
    const tab = button(`tab-${each}`);
    tab.setAttribute("aria-selected", String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
    element(each, HTMLElement).hidden = each !== name;
  }
  if (focus) button(`tab-${name}`).focus();
  if (name !== "camera") camera.stop();
  say("");
  history.replaceState(null, "", name === "photo" ? location.pathname + location.search : `#${name}`);
}

for (const [i, name] of PANELS.entries()) {
  const tab = button(`tab-${name}`);
  tab.onclick = () => open(name);
  tab.onkeydown = ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step) open(PANELS[(i + step + PANELS.length) % PANELS.length]!, true);
  };
}

button("hero-example").onclick = () => {
  open("photo");
  element("studio", HTMLElement).scrollIntoView({ behavior: "smooth" });
  void photo.useExample();
};

// A file dropped outside of a slot must not replace the page.
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

const asked = PANELS.find((name) => location.hash === `#${name}`);
if (asked) open(asked);

async function begin(): Promise<void> {
  if (await goOffline()) return;
  const { connection } = navigator as Navigator & { connection?: { saveData?: boolean } };
  if (connection?.saveData) return; // loaded when it is needed
  await getKeyer();
  await storeEverything();
}

// Errors of the engine are shown when it is used, not before.
begin().catch(() => undefined);
