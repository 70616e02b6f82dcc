#!/bin/sh
# Keeps one file of a filter up to date from a publisher of lists, without the program bwld: with curl, zstd and minisign.
#
#   school-update.sh -s https://lists.example.org -k /etc/bwld/minisign.pub -l adult -f squid-domains \
#       -o /etc/squid/adult.domains [-q 'categories=adult'] [-- COMMAND [ARGUMENT...]]
#
# Fetches the export and its signature, verifies, refuses what is old or tampered with, installs by rename, and runs COMMAND when
# something has changed. What is installed stays as it is whenever anything fails. The serial is remembered in FILE.state beside it.
#
# Exit codes: 0 installed, or nothing new; 1 the server was not reached, or its answer was not whole; 2 wrong use;
# 3 signature or contents do not hold; 4 genuine, but past its time or older than what is there; 5 installed, COMMAND failed.
set -eu
export LC_ALL=C
umask 022

# An export larger than this is not taken, packed or unpacked.
most_octets=1000000000

say() { printf 'school-update: %s\n' "$*" >&2; }
end() { code=$1; shift; say "$*"; exit "$code"; }
use() { end 2 "$*; use: school-update.sh -s URL -k KEYFILE -l LIST -f FORMAT -o FILE [-q QUERY] [-- COMMAND...]"; }

server='' key='' list='' format='' file='' query=''
while getopts s:k:l:f:o:q: option; do
    case $option in
    s) server=${OPTARG%/} ;;
    k) key=$OPTARG ;;
    l) list=$OPTARG ;;
    f) format=$OPTARG ;;
    o) file=$OPTARG ;;
    q) query=$OPTARG ;;
    *) use "there is no such option" ;;
    esac
done
shift $((OPTIND - 1))
for given in "$server" "$key" "$list" "$format" "$file"; do
    [ -n "$given" ] || use "-s, -k, -l, -f and -o are needed"
done
case $server in http://* | https://*) ;; *) use "-s is an address, https://HOST" ;; esac
case $list$format in *[!a-z0-9._-]*) use "list and format are of a-z, 0-9, . _ and -" ;; esac
case $query in *[!A-Za-z0-9=\&,._-]*) use "the query is NAME=VALUE, joined by &" ;; esac
[ -r "$key" ] || use "the key $key cannot be read; get it once on a trusted way, and compare it"
for program in curl zstd minisign; do
    command -v "$program" >/dev/null || end 2 "$program is not installed"
done

folder=$(dirname -- "$file")
[ -d "$folder" ] || end 2 "there is no folder $folder"
state="$file.state"
# In the same folder, so that installing is a rename; not readable by a filter that takes every file of it.
work=$(mktemp -d "$folder/.school-update.XXXXXX") || end 2 "cannot write in $folder"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# One at a time: a lock that dies with its holder would need more than POSIX has, so an old one is taken over.
lock="$file.lock"
if ! mkdir "$lock" 2>/dev/null; then
    [ -z "$(find "$lock" -prune -mmin +60 2>/dev/null)" ] && end 1 "another update is running ($lock)"
    say "took over a lock that was left an hour ago"
fi
trap 'rm -rf "$work"; rmdir "$lock" 2>/dev/null || :' EXIT

address="$server/v1/lists/$list/export/$format"
suffix=${query:+?$query}

fetch() { # ADDRESS FILE [OPTION...]: fails unless the whole answer came with status 200
    from=$1 to=$2
    shift 2
    curl --silent --show-error --fail --proto '=http,https' --max-redirs 0 --connect-timeout 20 --max-time 1800 \
        --speed-limit 500 --speed-time 60 --max-filesize "$most_octets" "$@" --output "$to" "$from"
}

# Prints NAME of the trusted comment, which the signature covers.
said() { sed -n 's/^trusted comment: //p' "$work/export.minisig" | tr ' ' '\n' | sed -n "s/^$1=//p" | head -n 1; }

# Both again, the export whatever is installed.
both() {
    fetch "$address.minisig$suffix" "$work/export.minisig" || return 1
    fetch "$address$suffix" "$work/packed" --header 'Accept-Encoding: zstd' || return 1
    unpack
}

get() {
    fetch "$address.minisig$suffix" "$work/export.minisig" || return 1
    # The tag names the octets: what is installed already need not be fetched again.
    if [ -f "$file" ] && [ -f "$state" ] && [ "$(sed -n 's/^export=//p' "$state")" = "$(said export)" ]; then
        cp -- "$file" "$work/export"
    else
        fetch "$address$suffix" "$work/packed" --header 'Accept-Encoding: zstd' || return 1
        unpack || return 1
    fi
}

unpack() {
    # A server that does not compress sends it as it is. The magic number of zstd begins no export.
    if [ "$(od -An -tx1 -N4 "$work/packed" | tr -d ' \n')" = 28b52ffd ]; then
        zstd --decompress --quiet --stdout --memory=128MB "$work/packed" 2>"$work/said" | head -c $((most_octets + 1)) >"$work/export"
        zstd --test --quiet --memory=128MB "$work/packed" 2>"$work/said" || { say "the packed answer is not whole: $(cat "$work/said")"; return 1; }
    else
        mv -- "$work/packed" "$work/export"
    fi
    [ "$(wc -c <"$work/export")" -le "$most_octets" ] || { say "larger than $most_octets octets"; return 1; }
}

genuine() { minisign -Vm "$work/export" -x "$work/export.minisig" -p "$key" >"$work/said" 2>&1; }

get || end 1 "$address: no update; what is installed stays"
if ! genuine; then
    # Between the two requests a new version may have been published: once more, and no more.
    rm -f "$work/export" "$work/packed"
    both || end 1 "$address: no update; what is installed stays"
    genuine || end 3 "$address is not what the key signed ($(tr '\n' ' ' <"$work/said")); what is installed stays. Tell the publisher"
fi

# From here on what the trusted comment says is the publisher's word.
[ "$(said list) $(said format)" = "$list $format" ] ||
    end 3 "$address: signed, but it is list $(said list) as $(said format), not $list as $format; what is installed stays"
serial=$(said serial) expires=$(said expires) issued=$(said issued)
case $serial in '' | *[!0-9]*) end 3 "$address: the signature names no serial; what is installed stays" ;; esac
[ "${#serial}" -le 18 ] || end 3 "$address: the signature names no serial; what is installed stays"
# Times of this form are in order as texts.
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
case $expires in ????-??-??T??:??:??Z) ;; *) end 3 "$address: the signature says no time; what is installed stays" ;; esac
earlier() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort | head -n 1)" = "$1" ]; }
earlier "$now" "$expires" || end 4 "$list: past its time since $expires; the filter goes on with what is installed. Is this clock right ($now)?"

installed=0
if [ -f "$state" ] && [ -f "$file" ]; then
    installed=$(sed -n 's/^serial=//p' "$state")
    case $installed in '' | *[!0-9]*) installed=0 ;; esac
fi
[ "$serial" -ge "$installed" ] || end 4 "$list: serial $serial is older than the installed $installed; what is installed stays. A mirror that is behind, or an attack"
[ -s "$work/export" ] || end 3 "$list: signed, and empty; what is installed stays"

printf 'list=%s\nformat=%s\nserial=%s\nissued=%s\nexport=%s\n' "$list" "$format" "$serial" "$issued" "$(said export)" >"$work/state"
if [ -f "$file" ] && cmp -s "$work/export" "$file"; then
    mv -f -- "$work/state" "$state"
    exit 0
fi
chmod 644 "$work/export"
sync "$work/export" "$work/state" 2>/dev/null || sync
# First the file, then what is said of it: after a crash between them the next run installs again.
mv -f -- "$work/export" "$file"
mv -f -- "$work/state" "$state"
say "$list: installed serial $serial as $file"
if [ "$#" -gt 0 ]; then
    "$@" || end 5 "installed, but failed: $*"
fi
