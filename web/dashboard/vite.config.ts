import { defineConfig } from "vitest/config";

// `npm run dev` serves the page with reloading; the analyzer answers everything else.
const analyzer = "http://127.0.0.1:8000";

export default defineConfig({
  build: {
    outDir: "../static/dashboard",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox121", "safari17.5"], // the first with light-dark()
    assetsInlineLimit: 0, // the Content-Security-Policy allows no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: {
    proxy: {
      "/api": { target: analyzer, ws: true },
      "/whip": analyzer,
      "/static": analyzer,
      "/docs": analyzer,
    },
  },
  test: { environment: "node", include: ["tests/**/*.test.{ts,tsx}"] },
});
