-- wrk -s load.lua URL -- FILE: asks what FILE has on its lines (method, path, body), in turn and
-- over again, each thread from a place of its own; prints what bench/load.py reads.
local requests, position = {}, 0
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    for line in io.lines(args[1]) do
        local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
        local headers = { Host = wrk.headers["Host"] }
        if body == "" then
            body = nil
        else
            headers["Content-Type"] = "application/json"
        end
        requests[#requests + 1] = wrk.format(method, path, headers, body)
    end
    position = math.floor(number * #requests / 2)
end

function request()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency)
    local e = summary.errors
    local failed = e.connect + e.read + e.write + e.status + e.timeout
    local ms = {}
    for i, percent in ipairs({ 50, 95, 99 }) do
        ms[i] = latency:percentile(percent) / 1e3
    end
    local rate = (summary.requests - e.status) / summary.duration * 1e6
    io.write(string.format("load: %.2f %.4f %.4f %.4f %d\n", rate, ms[1], ms[2], ms[3], failed))
end
