/** In the place of the engine's list for bundlers: the page names the engine's folder (`modelUrl`). */
export function filesBeside(): never {
  throw new Error("The page has the engine in a folder of its own.");
}
