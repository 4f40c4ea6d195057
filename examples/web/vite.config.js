import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = "http://127.0.0.1:8000"; // `./labelgraph demo`, for `npm run dev`
const forwarded = { target: server, ws: true, changeOrigin: true };

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../../api/web/built", // what the server sends at /ui/
    emptyOutDir: true,
    target: "es2023",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0, // no data: URLs, which the server's policy refuses
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(["/graphql", "/images", "/thumbnails", "/uploads"].map((path) => [path, forwarded])),
  },
});
