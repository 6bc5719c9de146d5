import { defineConfig } from "vite";

// One file under a fixed name beside the other static files; the server forbids scripts from anywhere else.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: process.env.DOPASCOPE_FRONT_OUT ?? "../src/dopascope/web/static/built",
    emptyOutDir: true,
    sourcemap: false,
    chunkSizeWarningLimit: 4000,
    rollupOptions: {
      input: "src/viewer.ts",
      output: { entryFileNames: "viewer.js", inlineDynamicImports: true },
    },
  },
});
