// Lists the operations of /openapi.json with a form for each. Whatever comes from outside is set as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** An element with its text and children. */
function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

/** The choices of a schema, if it has any. */
function choicesOf(schema) {
  const one = schema.items || schema;
  return one.enum || (one.type === "boolean" ? ["false", "true"] : null);
}

/** A field for a parameter, which may stay empty. */
function fieldOf(parameter) {
  const choices = choicesOf(parameter.schema || {});
  const field = element(choices ? "select" : "input");
  for (const choice of choices ? ["", ...choices] : []) field.append(element("option", String(choice)));
  field.name = parameter.name;
  if (!choices && parameter.schema && parameter.schema.default !== undefined) field.placeholder = parameter.schema.default;
  return element("label", parameter.name, element("small", " " + (parameter.description || "")), field);
}

/** A field for a body, with what kind it is. */
function bodyFieldOf(body) {
  const kind = element("select");
  for (const type of Object.keys(body.content)) kind.append(element("option", type));
  kind.name = "content-type";
  const text = element("textarea");
  text.name = "body";
  text.spellcheck = false;
  return [element("label", "Content-Type", kind), element("label", body.required ? "Body" : "Body, which may be left out", text)];
}

/** The path and query that the fields ask for. */
function targetOf(path, parameters, form) {
  const query = new URLSearchParams();
  let target = path;
  for (const parameter of parameters) {
    const value = form.elements[parameter.name].value;
    if (parameter.in === "path") {
      target = target.replace("{" + parameter.name + "}", value.split("/").map(encodeURIComponent).join("/"));
    } else if (value !== "") {
      query.append(parameter.name, value);
    }
  }
  return query.size ? target + "?" + query : target;
}

/** A body as it came; JSON with its lines indented. */
function shown(text, type) {
  if (!type.startsWith("application/json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function tryIt(method, path, parameters, form, answer) {
  const request = { method: method.toUpperCase(), headers: {}, cache: "no-store", credentials: "omit", redirect: "manual" };
  const token = document.getElementById("token").value;
  if (token) request.headers.Authorization = "Bearer " + token;
  const body = form.elements.body && form.elements.body.value;
  if (body) {
    request.headers["Content-Type"] = form.elements["content-type"].value;
    request.body = body;
  }
  const target = targetOf(path, parameters, form);
  try {
    const response = await fetch(target, request);
    const headers = [...response.headers].map(([name, value]) => name + ": " + value).join("\n");
    const text = shown(await response.text(), response.headers.get("content-type") || "");
    answer.textContent = request.method + " " + target + "\n\n" + response.status + "\n" + headers + "\n\n" + text;
  } catch (error) {
    answer.textContent = request.method + " " + target + "\n\nno answer: " + error.message;
  }
}

function sectionOf(method, path, operation) {
  const parameters = operation.parameters || [];
  const form = element("form", "", ...parameters.map(fieldOf));
  if (operation.requestBody) form.append(...bodyFieldOf(operation.requestBody));
  form.append(element("button", "Try it"));
  const answer = element("pre", "");
  answer.hidden = true;
  answer.setAttribute("aria-live", "polite");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = "…";
    tryIt(method, path, parameters, form, answer);
  });
  const title = element("summary", "", element("strong", method.toUpperCase()), element("code", path), element("small", " " + operation.summary));
  return element("details", "", title, element("p", operation.description), form, answer);
}

async function list() {
  const main = document.getElementById("operations");
  try {
    const described = await (await fetch("/openapi.json", { cache: "no-store" })).json();
    document.getElementById("about").append(" Version " + described.info.version + ".");
    const sections = [];
    for (const [path, item] of Object.entries(described.paths)) {
      for (const method of METHODS) {
        if (item[method]) sections.push(sectionOf(method, path, item[method]));
      }
    }
    main.replaceChildren(...sections);
  } catch (error) {
    main.replaceChildren(element("p", "/openapi.json cannot be read: " + error.message));
  }
}

list();
