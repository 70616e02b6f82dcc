-- The names of one policy zone, for programs that are configured in Lua and know no zone transfer: Knot Resolver 5 and
-- dnsdist. Reads the file that follow-zone.sh keeps. Lua 5.1, LuaJIT and later; docs/FILTERS.md has the recipes.
--
--     local zone = dofile('/usr/local/lib/bwld/names.lua').open('/var/lib/bwld/block.rpz.example.org')
--     zone:look(0.05)            every moment: takes in what is new
--     zone:has('www.a.example')  whether the name, or a wildcard above it, is in the zone
--
-- The file begins with a line of its own for each whole transfer; then `+NAME` or `-NAME` a line, at the end of each
-- version `=SERIAL`. What comes later is added at the end. Another first line means: all anew. Until all of that has
-- been read, what was there before answers. A line without its end is not taken.

local M = {}
local Zone = {}
Zone.__index = Zone

-- Octets read at a time.
local BLOCK = 65536
-- A line longer than this is none of ours.
local LONGEST = 1024

-- The zone of this file, which need not be there yet. With a file it is read whole here, so that a program that starts
-- answers by it from its first question on.
function M.open(path)
    local zone = setmetatable({ path = path, names = {}, at = 0 }, Zone)
    zone:look(math.huge)
    return zone
end

local function apply(names, line)
    local sign, name = line:byte(1), line:sub(2)
    if sign == 43 then -- +
        names[name] = true
    elseif sign == 45 then -- -
        names[name] = nil
    end
end

-- Reads whole lines of `file` from `state.at` on until its end or the deadline; true: to its end.
local function read(file, state, deadline)
    file:seek('set', state.at)
    while true do
        local block = file:read(BLOCK)
        if not block then return true end
        local from = 1
        while true do
            local stop = block:find('\n', from, true)
            if not stop then break end
            apply(state.names, block:sub(from, stop - 1))
            from = stop + 1
        end
        state.at = state.at + from - 1
        if from == 1 and #block > LONGEST then return true end
        if #block < BLOCK then return true end
        file:seek('set', state.at)
        if os.clock() > deadline then return false end
    end
end

-- Takes in what the file has become, for about `budget` seconds of work; what comes first of all is read whole.
function Zone:look(budget)
    local file = io.open(self.path, 'r')
    if not file then return end
    local deadline = os.clock() + (self.first and budget or math.huge)
    local first = file:read('*l')
    if first and first == self.first then
        self.coming = nil
        read(file, self, deadline)
    elseif first then
        if not self.coming or self.coming.first ~= first then
            self.coming = { first = first, names = {}, at = #first + 1 }
        end
        if read(file, self.coming, deadline) then
            self.first, self.names, self.at = first, self.coming.names, self.coming.at
            self.coming = nil
        end
    end
    file:close()
end

-- Whether the zone says something of this name; case and a dot at its end do not matter.
function Zone:has(name)
    local names = self.names
    name = name:lower():gsub('%.$', '')
    if names[name] then return true end
    local dot = name:find('.', 1, true)
    while dot do
        if names['*' .. name:sub(dot)] then return true end
        dot = name:find('.', dot + 1, true)
    end
    return false
end

return M
