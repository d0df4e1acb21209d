// Serves dist/ on localhost with the headers that threads need: node scripts/serve.mjs [port] [--plain] [--under /path]
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".webp": "image/webp",
  ".mp4": "video/mp4",
  ".webm": "video/webm",
};

const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** Starts a server of `folder`; `plain` leaves the isolation headers out, as many hosts do. */
export function serve({ folder, port = 8000, plain = false, under = "/", onRequest = () => {} }) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    if (!pathname.startsWith(under)) return respond(response, 404);
    let path = normalize(join(folder, decodeURIComponent(pathname.slice(under.length))));
    if (!path.startsWith(folder)) return respond(response, 404);
    if (existsSync(path) && statSync(path).isDirectory()) path = join(path, "index.html");
    if (!existsSync(path)) return respond(response, 404);
    const { size } = statSync(path);
    onRequest(pathname, size);
    const headers = {
      "Content-Type": TYPES[extname(path)] ?? "application/octet-stream",
      "Cache-Control": "no-cache",
      "Accept-Ranges": "bytes",
      ...(plain ? {} : ISOLATION),
    };
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    if (range) {
      const [start, end] = [Number(range[1]), range[2] ? Math.min(Number(range[2]), size - 1) : size - 1];
      response.writeHead(206, {
        ...headers,
        "Content-Range": `bytes ${start}-${end}/${size}`,
        "Content-Length": end - start + 1,
      });
      return createReadStream(path, { start, end }).pipe(response);
    }
    response.writeHead(200, { ...headers, "Content-Length": size });
    return createReadStream(path).pipe(response);
  });
  return new Promise((done, fail) => {
    server.once("error", fail);
    server.listen(port, "127.0.0.1", () =>
      done({
        server,
        url: `http://localhost:${server.address().port}${under}`,
        close: () => {
          server.close();
          server.closeAllConnections();
        },
      }),
    );
  });
}

function respond(response, status) {
  response.writeHead(status).end();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.argv[2] ?? 8000);
  const folder = resolve(dirname(fileURLToPath(import.meta.url)), "../dist");
  if (!existsSync(join(folder, "index.html"))) {
    console.error("There is no web/dist yet: make web");
    process.exit(2);
  }
  try {
    const { url } = await serve({ folder, port, plain: process.argv.includes("--plain") });
    console.log(`${url}   (Ctrl-C ends)`);
  } catch (error) {
    console.error(error.code === "EADDRINUSE" ? `Port ${port} is taken: PORT=8001 make serve-web` : error.message);
    process.exit(2);
  }
}
