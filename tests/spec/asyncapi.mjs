// What AsyncAPI's own parser has against a document on standard input; exit status 1 if anything.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const ERROR = 0;

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const errors = diagnostics.filter((found) => found.severity === ERROR);
for (const { path, message } of errors) console.error(`${path.join(".")}: ${message}`);
const names = document?.allMessages().all().map((message) => message.name()) ?? [];
console.log(JSON.stringify(names.sort()));
process.exit(errors.length > 0 || document === undefined ? 1 : 0);
