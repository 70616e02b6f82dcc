#!/bin/sh
# Keeps the names of one policy zone in a file, by zone transfer: first whole, then what changed (IXFR), signed (TSIG).
# For programs that know no zone transfer and read the file with names.lua. Needs kdig (knot-dnsutils) and awk.
#
#     follow-zone.sh -s SERVER -k KEYFILE [-i SECONDS] [-o] ZONE FILE
#
# KEYFILE holds one line, hmac-sha256:NAME:SECRET, and is for its reader alone. It asks every SECONDS (0.25), one small
# question each time; -o: once, then it ends, with 1 if that failed. What the file holds stays when the server is away,
# refuses, or sends less than the whole.
set -eu

usage() {
    echo "usage: follow-zone.sh -s SERVER -k KEYFILE [-i SECONDS] [-o] ZONE FILE" >&2
    exit 2
}

server='' key='' interval=0.25 once=''
while getopts s:k:i:o option; do
    case $option in
    s) server=$OPTARG ;;
    k) key=$OPTARG ;;
    i) interval=$OPTARG ;;
    o) once=yes ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
if [ $# != 2 ] || [ -z "$server" ] || [ -z "$key" ]; then usage; fi
zone=${1%.} file=$2
umask 022

# Writes the lines for the file; ends with 10 for a whole zone, 11 for steps, 12 when nothing is new, 1 if it is cut off.
# shellcheck disable=SC2016  # awk's own variables
lines='
    /^;/ || $3 != "IN" { next }
    { records++ }
    $4 == "SOA" {
        soas++
        if (records == 1) newest = $7
        if (records == 2) steps = 1
        if (steps) sign = soas % 2 ? "+" : "-"
        last = $7
        next
    }
    { last = "" }
    records == 2 && !steps { sign = "+"; print "zone " zone " " stamp }
    $4 == "CNAME" {
        name = substr($1, 1, length($1) - length(zone) - 2)
        if (name !~ /(^|\.)rpz-[a-z-]+$/) print sign name
    }
    END {
        if (records == 1 && soas == 1) exit 12
        if (last == "" || last != newest || (steps ? soas % 2 || soas < 4 : soas != 2)) exit 1
        print "=" newest
        exit steps ? 11 : 10
    }'

size() { if [ -f "$file" ]; then wc -c <"$file"; else echo 0; fi; }

# Steps that are longer than what they began with: rather all anew.
most() { most=$(($(size) * 2 + 1048576)); }
most

# Whole zones so far: two within a second must not begin with the same line, or the reader would take one for the other.
whole=0

# One question, and what is to be done with its answer.
turn() {
    whole=$((whole + 1))
    serial=''
    if [ -f "$file" ] && [ "$(size)" -le "$most" ]; then serial=$(tail -n 1 "$file" | sed -n 's/^=\([0-9]*\)$/\1/p'); fi
    how=0
    # What kdig says goes to the log if it comes to nothing.
    kdig @"$server" -k "$key" "$zone" "${serial:+IXFR=}${serial:-AXFR}" +noidn 2>"$file.said" |
        awk -v zone="$zone" -v stamp="$(date +%s).$$.$whole" "$lines" >"$file.new" || how=$?
    case $how in
    10)
        mv "$file.new" "$file"
        most
        ;;
    11)
        # Half a step would stand before the next one: then rather all anew.
        cat "$file.new" >>"$file" || { rm -f "$file"; return 1; }
        ;;
    12) ;;
    *)
        echo "$zone: no whole transfer from $server; what is there stays" >&2
        head -n 3 "$file.said" >&2
        return 1
        ;;
    esac
}

while :; do
    if turn; then
        [ -z "$once" ] || exit 0
        sleep "$interval"
    else
        [ -z "$once" ] || exit 1
        sleep 2
    fi
done
