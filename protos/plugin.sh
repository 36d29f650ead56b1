# sh plugin.sh PROGRAM ARGUMENTS...: a plugin of buf.gen.yaml, where it is installed.
#
# Elsewhere it answers with no files, so that one template serves machines with any
# toolchains. The answer's two bytes are `supported_features: PROTO3_OPTIONAL`.
nothing() {
    cat >/dev/null
    printf '\020\001'
    exit
}
command -v "$1" >/dev/null || nothing
case $2 in
    */*) test -f "$2" || nothing ;;
esac
exec "$@"
