"use strict";

// Renders openapi.json as a list of operations that can be tried, without any other host. What it asks
// for lies beside this page, below whatever prefix a proxy has put before both.

const METHODS = ["get", "post", "put", "patch", "delete"];

const byId = (id) => document.getElementById(id);

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function resolve(schema, api, depth = 0) {
  if (!schema || depth > 6) return {};
  if (schema.$ref) return resolve(api.components.schemas[schema.$ref.split("/").pop()], api, depth + 1);
  return schema;
}

function example(schema, api, depth = 0) {
  const found = resolve(schema, api);
  if (found.examples) return found.examples[0];
  if (found.default !== undefined) return found.default;
  if (found.enum) return found.enum[0];
  if (found.anyOf && depth < 6) return example(found.anyOf[0], api, depth + 1);
  if (found.properties && depth < 6) {
    const required = found.required || [];
    return Object.fromEntries(required.map((key) => [key, example(found.properties[key], api, depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: false, array: [] }[found.type] ?? null;
}

function operation(path, method, described, api) {
  const section = element("section", "", "operation");
  const title = element("h3");
  title.append(element("span", method.toUpperCase(), "method"), path);
  section.append(title, element("p", described.description || described.summary || ""));
  const fields = (described.parameters || []).map((parameter) => field(section, parameter.name));
  const json = described.requestBody?.content?.["application/json"];
  const body = json ? bodyField(section, json.schema, api) : null;
  section.append(answers(described, api));
  tryIt(section, path, method, fields, body);
  return section;
}

function field(section, name) {
  const label = element("label", `${name} `, "field");
  const input = element("input");
  input.name = name;
  label.append(input);
  section.append(label);
  return input;
}

function bodyField(section, schema, api) {
  const label = element("label", "body", "field");
  const area = element("textarea");
  area.value = JSON.stringify(example(schema, api), null, 2);
  area.spellcheck = false;
  label.append(area);
  section.append(label, details("fields of the body", JSON.stringify(resolve(schema, api), null, 2)));
  return area;
}

function answers(described, api) {
  const lines = Object.entries(described.responses).map(([code, answer]) => {
    const schema = answer.content?.["application/json"]?.schema;
    const name = schema?.$ref ? `  → ${schema.$ref.split("/").pop()}` : "";
    return `${code}  ${answer.description}${name}`;
  });
  const good = Object.entries(described.responses).find(([code]) => code.startsWith("2"));
  const schema = good?.[1].content?.["application/json"]?.schema;
  const shape = schema ? `\n\n${JSON.stringify(resolve(schema, api), null, 2)}` : "";
  return details("answers", lines.join("\n") + shape);
}

function details(title, text) {
  const made = element("details");
  made.append(element("summary", title), element("pre", text));
  return made;
}

function tryIt(section, path, method, fields, body) {
  const button = element("button", "try it");
  const output = element("pre");
  output.hidden = true;
  button.type = "button";
  button.addEventListener("click", async () => {
    const url = fields.reduce((at, input) => at.replace(`{${input.name}}`, encodeURIComponent(input.value)), path);
    output.hidden = false;
    output.textContent = "waiting";
    output.textContent = await ask(url, method, body ? body.value : undefined);
  });
  section.append(button, output);
}

async function ask(url, method, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (byId("token").value) headers.Authorization = `Bearer ${byId("token").value}`;
  try {
    const answer = await fetch(`.${url}`, { method: method.toUpperCase(), headers, body });
    const text = await answer.text();
    return `${answer.status} ${answer.statusText}\n\n${pretty(text)}`;
  } catch (error) {
    return `no answer: ${error.message}`;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function main() {
  const api = await (await fetch("openapi.json")).json();
  byId("title").textContent = `${api.info.title} ${api.info.version}`;
  byId("description").textContent = api.info.description;
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const method of METHODS) {
      if (methods[method]) byId("operations").append(operation(path, method, methods[method], api));
    }
  }
}

byId("login").addEventListener("submit", (submitted) => submitted.preventDefault());
main();
