/** A web page at two origins, neither of them the server's, with the clients of node_modules below `/npm/`. */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { cache } from "../clients/packages.mjs";

const PAGE = fileURLToPath(new URL("page.html", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript" };

/** `allowed` is the origin that the server is to allow, `foreign` the other one. */
export async function servePages() {
  const server = createServer((request, response) => {
    const [, module] = request.url.split("/npm/");
    const file = module ? join(cache, "node_modules", module) : PAGE;
    response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
    createReadStream(file)
      .on("error", () => response.writeHead(404).end())
      .pipe(response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  return {
    allowed: `http://localhost:${port}`,
    foreign: `http://127.0.0.1:${port}`,
    close: () => server.close().closeAllConnections(),
  };
}
