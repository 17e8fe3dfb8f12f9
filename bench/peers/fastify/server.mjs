// The peer on Fastify 5 and pg 8: two processes with a pool of 4 each, JSON put together by hand.
// Node's cluster hands the connections out in turn.
import cluster from "node:cluster";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Fastify from "fastify";
import pg from "pg";

const PROCESSES = 2;
const POOL_SIZE = 4;

/** Values are put into JSON as PostgreSQL writes them: numbers and JSON columns stay text. */
const asText = { getTypeParser: () => (value) => value };

function statement(name) {
    const text = readFileSync(join(process.env.PEERS_SQL, `${name}.sql`), "utf8");
    return (values) => ({ name, text, values, types: asText, rowMode: "array" });
}

/** The chunk's fields, without the braces around them; columns as the statements have them. */
function fields(row) {
    return `"id":${row[0]},"book_id":${row[1]},"title":${JSON.stringify(row[2])},\
"author":${JSON.stringify(row[3])},"source_type":${JSON.stringify(row[4])},\
"chapter":${JSON.stringify(row[5])},"page_number":${row[6]},\
"page_label":${JSON.stringify(row[7])},"page_kind":${JSON.stringify(row[8])},\
"paragraph":${row[9]},"content":${JSON.stringify(row[10])},\
"tags":${row[11]},"metadata":${row[12]}`;
}

async function serve() {
    const pool = new pg.Pool({ max: POOL_SIZE, idleTimeoutMillis: 0 }); // PGHOST, PGPORT …
    const [content, batch, search, health] = ["content", "batch", "search", "health"].map(
        statement,
    );
    const app = Fastify({ logger: false });
    const json = (reply, text) => reply.type("application/json; charset=utf-8").send(text);

    app.get("/api/content/:id", async (request, reply) => {
        const { rows } = await pool.query(content([request.params.id]));
        if (rows.length === 0) return reply.code(404).send({ error: "Not Found" });
        return json(reply, `{${fields(rows[0])}}`);
    });

    app.post("/api/content/batch", async (request, reply) => {
        const { ids } = request.body;
        const { rows } = await pool.query(batch([ids]));
        const missing = [];
        let at = 0;
        for (const id of ids) {
            if (at < rows.length && Number(rows[at][0]) === id) at++;
            else missing.push(id);
        }
        const items = rows.map((row) => `{${fields(row)}}`);
        return json(reply, `{"items":[${items.join(",")}],"missing":[${missing.join(",")}]}`);
    });

    app.get("/api/search", async (request, reply) => {
        const { q } = request.query;
        const { rows } = await pool.query(search([q]));
        const total = rows.length > 0 ? Number(rows[0][14]) : 0;
        const results = rows.map((row) => `{${fields(row)},"score":${row[13]}}`);
        return json(
            reply,
            `{"query":${JSON.stringify(q)},"match":"all","results":[${results.join(",")}],\
"total_count":${total},"page":1,"page_size":50,"total_pages":${Math.ceil(total / 50)},\
"has_next":${total > 50}}`,
        );
    });

    app.get("/api/health", async (request, reply) => {
        await pool.query(health([]));
        return json(reply, '{"status":"ok"}');
    });

    await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
}

if (cluster.isPrimary) {
    for (let i = 0; i < PROCESSES; i++) cluster.fork();
    cluster.on("exit", () => process.exit(1));
} else {
    await serve();
}
