// A second opinion on HTTP/1.1: Node's parser. Once the client has finished sending, or sent what
// Node refuses, it is told what was understood of each request, in the form of the test server's
// raw route (method, path, X-Test, body in hexadecimal digits), a line each; and "refused".
import { createServer } from "node:http";

const hex = (text) => Buffer.from(text, "latin1").toString("hex");

const server = createServer((request) => {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => {
        const path = request.url.replace(/^https?:\/\/[^/?]*/i, "").split("?")[0] || "/";
        const test = request.headers["x-test"] ?? "";
        const body = Buffer.concat(pieces).toString("hex");
        request.socket.understood += `${hex(request.method)} ${hex(path)} ${hex(test)} ${body}\n`;
    });
});
server.on("connection", (socket) => {
    socket.understood = "";
    socket.on("end", () => setImmediate(() => socket.end(socket.understood)));
});
server.on("clientError", (_, socket) =>
    setImmediate(() => socket.end(`${socket.understood}refused\n`)),
);
server.httpAllowHalfOpen = true;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
