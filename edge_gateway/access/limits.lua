-- The sums of edge_gateway/access/limits.py, in Redis, for all edges at once; each call is one atomic step.
--
-- KEYS[1]  the key's account, a hash: r:SECOND requests, t:SECOND tokens, d:DAY and m:MONTH dollars, c:ID the claim of a
--          request under way as "tokens dollars expiry"
-- KEYS[2]  there once it is known what the keys have spent
-- KEYS[3]  there once this request was settled although Redis was not known to have its claim
-- ARGV[1]  the step, ARGV[2] the time in epoch seconds, or "" for this server's, so that edges whose clocks differ agree
local WINDOW, DAY, CLAIM_SECONDS, ACCOUNT_SECONDS = 60, 86400, 900, 40 * 86400
local account, reconciled, settled = KEYS[1], KEYS[2], KEYS[3]
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local second, day = math.floor(now), math.floor(now / DAY)

-- The number of the UTC month, twelve a year; from the day by the Gregorian calendar, in years that begin in March.
local function month_of(number)
  local shifted = number + 719468
  local era = math.floor(shifted / 146097)
  local of_era = shifted - era * 146097
  local year = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local from_march = math.floor((5 * of_year + 2) / 153)
  return (year + era * 400) * 12 + from_march + 2
end
local month = month_of(day)

local function add_up()
  local sums = {
    r = 0, t = 0, d = 0, m = 0, under_way = 0, claimed_tokens = 0, claimed_usd = 0, seconds = {r = {}, t = {}}}
  local fields = redis.call('HGETALL', account)
  for at = 1, #fields, 2 do
    local kind, rest, value, stale = string.sub(fields[at], 1, 1), string.sub(fields[at], 3), fields[at + 1], false
    if kind == 'c' then
      local tokens, usd, expiry = string.match(value, '^(%S+) (%S+) (%S+)$')
      stale = tonumber(expiry) <= now
      if not stale then
        sums.under_way = sums.under_way + 1
        sums.claimed_tokens = sums.claimed_tokens + tonumber(tokens)
        sums.claimed_usd = sums.claimed_usd + tonumber(usd)
      end
    elseif kind == 'r' or kind == 't' then
      local counted = tonumber(rest)
      stale = math.abs(counted - second) > WINDOW
      if not stale then
        sums[kind] = sums[kind] + tonumber(value)
        table.insert(sums.seconds[kind], {counted, tonumber(value)})
      end
    else
      local current = kind == 'd' and day or month
      stale = tonumber(rest) < current
      if tonumber(rest) == current then sums[kind] = tonumber(value) end
    end
    if stale then redis.call('HDEL', account, fields[at]) end
  end
  return sums
end

-- When less than the limit will count of what stands by seconds.
local function room(counts, left, limit)
  table.sort(counts, function(one, other) return one[1] < other[1] end)
  for _, count in ipairs(counts) do
    left = left - count[2]
    if left < limit then return count[1] + WINDOW + 1 end
  end
end

local function refusal(sums, limits, tokens, usd)
  if limits.month and sums.m >= limits.month then return 'budget_usd_per_month', 0, now end
  if limits.day and sums.d >= limits.day then return 'budget_usd_per_day', 0, now end
  if limits.tokens and sums.t >= limits.tokens then
    return 'tokens_per_minute', 0, room(sums.seconds.t, sums.t, limits.tokens)
  end
  if limits.requests and sums.r >= limits.requests then
    return 'requests_per_minute', 0, room(sums.seconds.r, sums.r, limits.requests)
  end
  if sums.under_way == 0 then return nil end
  if limits.parallel and sums.under_way + 1 > limits.parallel then return 'parallel', 1, now end
  if limits.tokens and sums.t + sums.claimed_tokens + tokens > limits.tokens then return 'tokens_per_minute', 1, now end
  if limits.day and sums.d + sums.claimed_usd + usd > limits.day then return 'budget_usd_per_day', 1, now end
  if limits.month and sums.m + sums.claimed_usd + usd > limits.month then return 'budget_usd_per_month', 1, now end
  return nil
end

-- ARGV[3] the id, ARGV[4] and [5] the claim, then the limits, "" for none. Returns what refuses, "" for nothing, whether
-- that passes, when there is room, the time, and the dollars spent this day and this month.
local function admit()
  local id, tokens, usd = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
  local limits = {
    requests = tonumber(ARGV[6]), tokens = tonumber(ARGV[7]), parallel = tonumber(ARGV[8]),
    day = tonumber(ARGV[9]), month = tonumber(ARGV[10])}
  local sums = add_up()
  local limit, passing, free
  if (limits.day or limits.month) and redis.call('EXISTS', reconciled) == 0 then
    limit, passing, free = 'budget_unknown', 0, now
  else
    limit, passing, free = refusal(sums, limits, tokens, usd)
  end
  -- A call that was given up may still come, after its request was settled.
  if not limit and redis.call('EXISTS', settled) == 0 then
    redis.call('HINCRBY', account, string.format('r:%d', second), 1)
    redis.call('HSET', account, 'c:' .. id, string.format('%.0f %.17g %.6f', tokens, usd, now + CLAIM_SECONDS))
    redis.call('EXPIRE', account, ACCOUNT_SECONDS)
  end
  return {
    limit or '', passing or 0, string.format('%.6f', free or now), string.format('%.6f', now),
    string.format('%.17g', sums.d), string.format('%.17g', sums.m)}
end

-- ARGV[3] the id, ARGV[4] and [5] what was used, ARGV[6] whether Redis has had the claim for certain ("1"). Where that is
-- not certain it counts all the same; in either case no more than once, however often it is sent.
local function settle()
  local id, tokens, usd = ARGV[3], ARGV[4], ARGV[5]
  local had = redis.call('HDEL', account, 'c:' .. id) == 1
  if ARGV[6] == '1' then
    if not had then return 0 end
  elseif not redis.call('SET', settled, '1', 'NX', 'EX', CLAIM_SECONDS) then
    return 0
  end
  if tonumber(tokens) > 0 then redis.call('HINCRBY', account, string.format('t:%d', second), tokens) end
  if tonumber(usd) > 0 then
    redis.call('HINCRBYFLOAT', account, string.format('d:%d', day), usd)
    redis.call('HINCRBYFLOAT', account, string.format('m:%d', month), usd)
  end
  redis.call('EXPIRE', account, ACCOUNT_SECONDS)
  return 1
end

-- ARGV[4] and [5] the dollars spent at least of the day and the month of ARGV[2].
local function raise()
  for field, usd in pairs({[string.format('d:%d', day)] = ARGV[4], [string.format('m:%d', month)] = ARGV[5]}) do
    if tonumber(usd) > tonumber(redis.call('HGET', account, field) or 0) then
      redis.call('HSET', account, field, usd)
      redis.call('EXPIRE', account, ACCOUNT_SECONDS)
    end
  end
  return 1
end

return ({admit = admit, settle = settle, raise = raise})[ARGV[1]]()
