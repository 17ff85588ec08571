-- Applies the newest day's usage and moves the offset, all or nothing; returns 0, or -1 when the stored offset is not the
-- expected one.
--
-- KEYS: offset, usage
-- ARGV: expected offset ('' : there must be none, and what the key holds is replaced), next offset,
--       then 7 a value: account, day, field, value, definition version, rank, position
local offset, usage = KEYS[1], KEYS[2]
local expected, following = ARGV[1], ARGV[2]

if (redis.call('GET', offset) or '') ~= expected then
    return -1
end
if expected == '' then
    redis.call('DEL', usage)
end

local function greater(new, old)
    for i = 1, 3 do
        if new[i] ~= old[i] then
            return new[i] > old[i]
        end
    end
    return false
end

for i = 3, #ARGV, 7 do
    local account, day, field, value = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    local revision = {tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5]), tonumber(ARGV[i + 6])}
    local old = redis.call('HGET', usage, account)
    local held = old and cjson.decode(old)
    if not held or day > held.day then
        held = {day = day, events = cjson.null, active_users = cjson.null, revisions = {}}
    end
    local known = held.revisions[field]
    if day == held.day and (not known or greater(revision, known)) then
        held[field] = value
        held.revisions[field] = revision
        redis.call('HSET', usage, account, cjson.encode(held))
    end
end

redis.call('SET', offset, following)
return 0
