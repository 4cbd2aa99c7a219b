import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

const shipped = ["preact", "uplot", "uqr", "@fontsource-variable/inter"];

/** Puts the licences of what is shipped beside it, as they ask for. */
function licences() {
  return {
    name: "licences",
    generateBundle(this: { emitFile(file: object): void }) {
      const texts = shipped.map((name) => {
        const text = readFileSync(new URL(`node_modules/${name}/LICENSE`, import.meta.url), "utf8");
        return `${name}\n\n${text.trim()}\n`;
      });
      this.emitFile({
        type: "asset",
        fileName: "assets/licences.txt",
        source: texts.join(`\n${"-".repeat(80)}\n\n`),
      });
    },
  };
}

// `npm run dev` serves the page with reloading; the analyzer answers everything else.
const analyzer = "http://127.0.0.1:8000";

export default defineConfig({
  base: "./", // the analyzer fills in the prefix that it is served below
  plugins: [licences()],
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
  test: { include: ["tests/**/*.test.ts"] },
});
