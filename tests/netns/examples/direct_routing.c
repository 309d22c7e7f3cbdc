// A plain program for the one job that the director's is measured beside: a packet of a known flow, direct routing.
// It keeps what the director keeps of it: the state of the connection, when it was seen, packets and bytes.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define always static inline __attribute__((always_inline))

static void *(*look_up)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*coarse)(void) = (void *)BPF_FUNC_ktime_get_coarse_ns;
static long (*fib)(void *ctx, struct bpf_fib_lookup *way, int size, __u32 flags) = (void *)BPF_FUNC_fib_lookup;
static long (*redirect)(__u32 interface, __u64 flags) = (void *)BPF_FUNC_redirect;

struct key { __u32 source, destination; __u16 source_port, destination_port; __u32 protocol; };
struct flow { __u32 seen, real; __u8 state, direction; __u16 port; __u32 address; };
struct real { __u32 address; __u8 forward, nothing[3]; };
struct counted { __u64 connections, packets_in, packets_out, bytes_in, bytes_out; };

struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 1); __type(key, struct key); __type(value, struct flow); } FLOWS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 16384); __type(key, __u32); __type(value, struct real); } REALS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 16384); __type(key, __u32); __type(value, struct counted); } STATISTICS SEC(".maps");

enum { ESTABLISHED = 2, ROUTE = 2 };

SEC("xdp") int direct_routing(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *ethernet = data;
    struct iphdr *ip = (void *)(ethernet + 1);
    struct tcphdr *tcp = (void *)(ip + 1);
    if ((void *)(tcp + 1) > end || ethernet->h_proto != __builtin_bswap16(ETH_P_IP))
        return XDP_PASS;
    if (*(__u8 *)ip != 0x45 || ip->frag_off & __builtin_bswap16(0x3fff) || ip->protocol != IPPROTO_TCP || ip->ttl <= 1)
        return XDP_PASS;
    struct key key = { ip->saddr, ip->daddr, tcp->source, tcp->dest, ip->protocol };
    struct flow *flow = look_up(&FLOWS, &key);
    if (!flow || flow->direction)
        return XDP_PASS;
    __u32 number = flow->real;
    struct real *real = look_up(&REALS, &number);
    if (!real || real->forward != ROUTE)
        return XDP_PASS;
    if (flow->state != ESTABLISHED || tcp->syn || tcp->fin || tcp->rst)
        flow->state = ESTABLISHED;
    flow->seen = coarse() >> 20;
    struct counted *counted = look_up(&STATISTICS, &number);
    if (counted) {
        counted->packets_in++;
        counted->bytes_in += __builtin_bswap16(ip->tot_len);
    }
    struct bpf_fib_lookup way = { .family = 2, .ifindex = ctx->ingress_ifindex, .ipv4_src = ip->saddr };
    way.ipv4_dst = real->address;
    if (fib(ctx, &way, sizeof way, 0))
        return XDP_DROP;
    __builtin_memcpy(ethernet->h_dest, way.dmac, 6);
    __builtin_memcpy(ethernet->h_source, way.smac, 6);
    return way.ifindex == ctx->ingress_ifindex ? XDP_TX : redirect(way.ifindex, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
