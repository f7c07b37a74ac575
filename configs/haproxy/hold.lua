-- Loaded by haproxy (lua-load). While a service is handed over its new requests wait here instead of
-- failing: as long as the server of that name in backend `tricast_hold` is not in maintenance, and
-- until `limit` milliseconds after it closed: a gate that nobody opens any more, because its controller
-- died, delays nobody who comes later. The controller turns that server through the runtime socket.
--
--   http-request lua.tricast_hold be_wallet 5000 if { srv_is_up(tricast_hold/be_wallet) }
--
-- In `mode tcp` (SQL, games) new connections wait instead; the delay is to be longer than the limit:
--
--   tcp-request inspect-delay 6s
--   tcp-request content lua.tricast_hold be_games 5000 if { srv_is_up(tricast_hold/be_games) }
--
-- What waited goes on one after the other in the order in which it came, not all at once: the
-- servers that take over have no sessions with their databases yet.
--
-- Afterwards the site that gave the service away sees its clients off: for so many seconds each
-- answer there ends its connection, so that the next one begins where the routes lead by then.
--
--   http-after-response set-header Connection close if { lua.tricast_leaving(be_wallet,dc1,15) -m bool }

local POLL_MS = 5
local REST_MS = 25 -- between two looks at gates where nobody waits
local SPACE_MS = 3 -- between two that go on
local TAIL_MS = 200 -- until the last of them goes on, at most
-- By name: the newest look, how many wait, the number of who came last and of who goes on first,
-- when it closed and when it opened.
local gates = {}

local function now_ms()
  local now = core.now()
  return now.sec * 1000 + now.usec / 1000
end

local function in_maintenance(server)
  return server == nil or server:get_stats()["status"] == "MAINT"
end

local function looked_at(name, age_ms)
  local at = now_ms()
  local gate = gates[name] or { at = 0, held = false, waiting = 0, came = 0, first = 1, space = 0 }
  if at < gate.at or at - gate.at >= age_ms then
    local held = not in_maintenance(core.backends["tricast_hold"].servers[name])
    if held and not gate.held then
      gate.closed = at
    elseif gate.held and not held then
      gate.space = math.min(SPACE_MS, TAIL_MS / math.max(1, gate.waiting))
      gate.opened = at
    end
    gate.at, gate.held = at, held
  end
  gates[name] = gate
  return gate
end

core.register_task(function()
  while true do
    for name in pairs(core.backends["tricast_hold"].servers) do
      looked_at(name, POLL_MS)
    end
    core.msleep(REST_MS)
  end
end)

core.register_action("tricast_hold", { "tcp-req", "http-req" }, function(_, name, limit)
  local gate = looked_at(name, 0) -- who asks has just seen it close
  local function waits()
    return gate.held and now_ms() - gate.closed < tonumber(limit)
  end
  if not waits() then
    return
  end
  gate.came = gate.came + 1
  local mine = gate.came
  if gate.waiting == 0 then
    gate.first = mine
  end
  gate.waiting = gate.waiting + 1
  while waits() do
    core.msleep(POLL_MS)
    gate = looked_at(name, POLL_MS)
  end
  gate.waiting = gate.waiting - 1
  if gate.held then
    gate.first = math.max(gate.first, mine + 1) -- the gate has been closed for as long as it may
    return
  end
  local pause = math.floor((mine - gate.first) * gate.space)
  if pause > 0 then
    core.msleep(pause)
  end
end, 2)

-- Whether `name` was let go on no more than `seconds` ago, and not to servers of `site`.
core.register_fetches("tricast_leaving", function(_, name, site, seconds)
  local gate = gates[name]
  if gate == nil or gate.opened == nil or now_ms() - gate.opened > tonumber(seconds) * 1000 then
    return false
  end
  for server, found in pairs(core.backends[name].servers) do
    if server:sub(1, #site + 1) == site .. "-" and not in_maintenance(found) then
      return false
    end
  end
  return true
end)
