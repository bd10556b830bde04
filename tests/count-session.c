/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Instructions that sessions cost a packet (count-util.h), in the daemon's own
 * datapath, ofproto and hooks: from the receipt at a port to the end of the
 * transmission at another, in a thread that is none of DPDK's.
 *
 *     stock       no service; from port c1 to port b1, by a rule that looks at
 *                 addresses
 *     other       the same, of packets for no service, while there is one
 *     simple      as stock, by a rule that looks at the port alone, for which
 *                 Open vSwitch has a way of its own; bridges with services
 *                 have none of these for IP packets
 *     local       of sessions of a backend at b1
 *     reply       from b1 to c1, what that backend answers
 *     tunnel      no service; from c1 into a tunnel, by a rule of OpenFlow
 *     original    of sessions whose owner of record is behind the tunnel
 *     known       the same, as the header cache knows
 *
 * Receipt is a copy of pointers, and transmission is that of a dummy
 * device. */

#include <config.h>

#include <errno.h>
#include <unistd.h>

#include "datapath-hooks/session/session-dp.h"
#include "datapath-hooks/session/session-impl.h"
#include "datapath-hooks/ext-hooks.h"
#include "dpif.h"
#include "dummy.h"
#include "netdev-provider.h"
#include "odp-execute.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto.h"
#include "openvswitch/match.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/shash.h"
#include "ovs-router.h"
#include "ovs-thread.h"
#include "packets.h"
#include "smap.h"
#include "tests/count-util.h"
#include "tests/test-util.h"
#include "timeval.h"
#include "tnl-neigh-cache.h"
#include "unixctl.h"

enum { N_FLOWS = 64, INT = 0, C1, B1, P1, T1, N_PORTS };

static const struct {
    const char *name, *type;
} port_types[N_PORTS] = {
    { "int", "dummy-internal" },
    { "c1", "dummy" }, { "b1", "dummy" }, { "p1", "dummy" }, { "t1", "vxlan" }
};

static struct ofproto *ofproto;
static struct dpif *dpif;
static struct netdev *netdevs[N_PORTS];
static ofp_port_t ports[N_PORTS];

/* What the next run of the datapath receives, and where. */
static struct dp_packet_batch arriving;
static int arriving_at;

static int
receive(struct netdev_rxq *rx, struct dp_packet_batch *batch, int *qfill)
{
    if (rx->netdev != netdevs[arriving_at]
        || dp_packet_batch_is_empty(&arriving)) {
        return EAGAIN;
    }
    *batch = arriving;
    dp_packet_batch_init(&arriving);
    if (qfill) {
        *qfill = 0;
    }
    return 0;
}

/* A command for the daemon that this program is. */
struct command {
    char *path;
    const char *name;
    char **argv;
    int argc;
    bool done;
};

static void *
command_main(void *command_)
{
    struct command *command = command_;
    struct jsonrpc *client;
    char *result, *error;

    CHECK(!unixctl_client_create(command->path, &client));
    CHECK(!unixctl_client_transact(client, command->name, command->argc,
                                   command->argv, &result, &error));
    if (error) {
        ovs_fatal(0, "%s: %s", command->name, error);
    }
    free(result);
    __atomic_store_n(&command->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void
run_command(struct unixctl_server *server, char *path, const char *name,
            const char *a, const char *b, const char *c)
{
    char *argv[3] = {
        CONST_CAST(char *, a), CONST_CAST(char *, b), CONST_CAST(char *, c)
    };
    struct command command = {
        .path = path, .name = name, .argv = argv, .argc = c ? 3 : 2
    };
    pthread_t thread = ovs_thread_create("command", command_main, &command);

    while (!__atomic_load_n(&command.done, __ATOMIC_ACQUIRE)) {
        unixctl_server_run(server);
    }
    xpthread_join(thread, NULL);
}

static void
run_all(void)
{
    int error = ofproto_type_run("dummy");

    CHECK(!error || error == EAGAIN);
    error = ofproto_run(ofproto);
    CHECK(!error || error == EAGAIN);
    session_dp_run();
}

/* Has packets from port 'in' go to port 'out', for a tunnel to 1.1.2.92. */
static void
add_rule(ofp_port_t in, ofp_port_t out, bool simple)
{
    uint64_t stub[256 / 8];
    struct ofpbuf ofpacts;
    struct match match;

    ofpbuf_use_stub(&ofpacts, stub, sizeof stub);
    if (out == ports[T1]) {
        ovs_be64 tun_id = htonll(5);
        ovs_be32 dst = htonl(0x0101025c);

        ofpact_put_set_field(&ofpacts, mf_from_id(MFF_TUN_ID), &tun_id, NULL);
        ofpact_put_set_field(&ofpacts, mf_from_id(MFF_TUN_DST), &dst, NULL);
    }
    ofpact_put_OUTPUT(&ofpacts)->port = out;
    match_init_catchall(&match);
    match_set_in_port(&match, in);
    if (!simple) {
        match_set_dl_type(&match, htons(ETH_TYPE_IP));
        match_set_nw_dst_masked(&match, 0, htonl(0x10000000));
    }
    ofproto_add_flow(ofproto, &match, 5, ofpacts.data, ofpacts.size);
    ofpbuf_uninit(&ofpacts);
}

static void
add_port(int i)
{
    struct smap options = SMAP_INITIALIZER(&options);

    ports[i] = i == INT ? OFPP_LOCAL : OFPP_NONE;
    CHECK(!netdev_open(port_types[i].name, port_types[i].type, &netdevs[i]));
    if (i == T1) {
        smap_add(&options, "remote_ip", "flow");
        smap_add(&options, "key", "flow");
    }
    CHECK(!netdev_set_config(netdevs[i], &options, NULL));
    netdev_turn_flags_on(netdevs[i], NETDEV_UP, NULL);
    CHECK(!ofproto_port_add(ofproto, netdevs[i], &ports[i]));
    smap_destroy(&options);
}

/* A bridge "int" with the address of the tunnel's end. */
static void
start(void)
{
    const struct eth_addr mac = ETH_ADDR_C(02,00,00,00,00,5c);
    struct shash hints = SHASH_INITIALIZER(&hints);
    struct smap config = SMAP_INITIALIZER(&config);
    const char bridge[IFNAMSIZ] = "int";
    struct unixctl_server *server;
    struct shash_node *node;
    struct in6_addr peer;
    char *path;

    session_dp_init();
    dummy_enable("");
    odp_execute_init();
    ovs_router_disable_system_routing_table();
    ofproto_init(&hints);
    ofproto_set_threads(0, 0);
    ofproto_set_flow_restore_wait(false);
    CHECK(!ofproto_create("int", "dummy", &ofproto));
    smap_add(&config, "emc-insert-inv-prob", "1");
    ofproto_type_set_config("dummy", &config);
    smap_destroy(&config);
    for (int i = 0; i < N_PORTS; i++) {
        add_port(i);
    }
    dp_packet_batch_init(&arriving);
    run_all();

    path = xasprintf("/tmp/count-session.%ld", (long int) getpid());
    CHECK(!unixctl_server_create(path, &server));
    run_command(server, path, "netdev-dummy/ip4addr", "int", "1.1.2.88/24",
                NULL);
    run_command(server, path, "ovs/route/add", "1.1.2.0/24", "int", NULL);
    unixctl_server_destroy(server);
    unlink(path);
    free(path);
    in6_addr_set_mapped_ipv4(&peer, htonl(0x0101025c));
    tnl_neigh_set(bridge, &peer, mac);

    add_rule(OFPP_LOCAL, ports[P1], true);
    SHASH_FOR_EACH (node, &all_dpif_backers) {
        const struct dpif_backer *backer = node->data;

        dpif = backer->dpif;
    }
    session_dp_set_dpif(dpif);
    EXT_HOOK_SET(rxq_recv, receive);
    run_all();
}

/* A segment of session 'i', or of what is none: from the client, or the answer
 * to it. */
static struct dp_packet *
make_packet(unsigned int i, uint16_t tcp_flags, bool service, bool reply)
{
    const struct eth_addr mac = ETH_ADDR_C(02,00,00,00,00,01);
    struct dp_packet *packet = dp_packet_new(128 + 128);
    struct flow flow;

    memset(&flow, 0, sizeof flow);
    flow.packet_type = htonl(PT_ETH);
    flow.dl_type = htons(ETH_TYPE_IP);
    flow.dl_src = flow.dl_dst = mac;
    flow.nw_proto = IPPROTO_TCP;
    flow.nw_ttl = 64;
    flow.tcp_flags = htons(tcp_flags);
    flow.nw_src = htonl(0xc0000201);
    flow.nw_dst = service ? htonl(0x0a090909) : htonl(0x0a000002);
    flow.tp_src = htons(1000 + i);
    flow.tp_dst = htons(80);
    if (reply) {
        flow.nw_src = flow.nw_dst;
        flow.nw_dst = htonl(0xc0000201);
        flow.tp_src = htons(80);
        flow.tp_dst = htons(1000 + i);
    }
    dp_packet_reserve(packet, 128);
    flow_compose(packet, &flow, NULL, 64);
    dp_packet_reset_offsets(packet);
    dp_packet_set_rss_hash(packet, hash_int(i, 0));
    return packet;
}

/* One turn of the thread that polls all ports. */
static void __attribute__((noipa))
count_region(void)
{
    dpif_run(dpif);
}

static void
turn(unsigned int first, unsigned int burst, uint16_t tcp_flags, bool service,
     bool reply)
{
    arriving_at = reply ? B1 : C1;
    for (unsigned int i = 0; i < burst; i++) {
        dp_packet_batch_add(&arriving, make_packet((first + i) % N_FLOWS,
                                                   tcp_flags, service,
                                                   reply));
    }
    count_region();
}

static uint64_t
n_sent(int port)
{
    struct netdev_stats stats;

    CHECK(!netdev_get_stats(netdevs[port], &stats));
    return stats.tx_packets;
}

static struct sess_fleet
make_fleet(void)
{
    static struct sess_backend backend = {
        .name = "b1", .port = "b1", .mac = ETH_ADDR_C(02,00,00,00,00,b1),
        .weight = 1
    };
    static struct sess_service service = {
        .name = "web", .proto = IPPROTO_TCP, .bridge = "int",
        .encap = PHC_VXLAN, .vni = 5, .backends = &backend, .n_backends = 1,
    };
    static struct sess_host hosts[2] = { { .name = "h1" }, { .name = "h2" } };

    backend.id = sess_id_of_name(backend.name);
    service.id = sess_id_of_name(service.name);
    service.port = htons(80);
    in6_addr_set_mapped_ipv4(&service.addr, htonl(0x0a090909));
    in6_addr_set_mapped_ipv4(&hosts[0].encap_ip, htonl(0x01010258));
    in6_addr_set_mapped_ipv4(&hosts[1].encap_ip, htonl(0x0101025c));
    for (int i = 0; i < 2; i++) {
        hosts[i].id = gossip_host_id(hosts[i].name);
    }
    return (struct sess_fleet) {
        .services = &service, .n_services = 1, .hosts = hosts, .n_hosts = 2,
    };
}

/* Whether all targets but those to ports elsewhere are resolved. */
static bool
is_resolved(bool local)
{
    struct session_target_info infos[8];
    size_t n = session_dp_targets(infos, ARRAY_SIZE(infos));
    bool ok = n > 0;

    for (size_t i = 0; i < n; i++) {
        ok = ok && (infos[i].local != local
                    || infos[i].state == SESSION_TARGET_RESOLVED);
    }
    return ok;
}

/* Begins a service whose backend is at b1, or at the other end of the
 * tunnel. */
static struct phc *
begin_service(bool local)
{
    struct phc_config phc_config = { .entries = 4096, .templates = 64 };
    struct sess_fleet fleet = make_fleet();
    struct sess_location location = {
        .backend = fleet.services[0].backends[0].id,
        .host = fleet.hosts[local ? 0 : 1].id,
        .alive = true, .present = true,
    };
    struct sess_plan_args args = {
        .fleet = &fleet, .self = fleet.hosts[0].id,
        .locations = &location, .n_locations = 1,
        .numbers = sess_numbers_create(), .now = time_msec(),
    };
    struct sess_config config;
    struct phc *phc = phc_create(&phc_config);

    sess_config_init(&config);
    session_dp_enable(sess_table_create(&config), phc);
    session_dp_set_plan(sess_plan_create(&args));
    while (!is_resolved(local)) {
        run_all();
    }
    return phc;
}

/* Has the header cache know all sessions. */
static void
fill_cache(struct phc *phc)
{
    for (int i = 0; i < N_FLOWS; i++) {
        struct sess_key key;

        sess_key_init_ip4(&key, htonl(0xc0000201), htonl(0x0a090909),
                          htons(1000 + i), htons(80), IPPROTO_TCP, 0);
        ovs_mutex_lock(&session_phc_mutex);
        CHECK(!phc_put(phc, &key, 1, 1, 1, time_msec() + 1000000,
                       time_msec()));
        ovs_mutex_unlock(&session_phc_mutex);
    }
}

int
main(int argc, char *argv[])
{
    static const char *const modes[] = {
        "stock", "simple", "other", "local", "reply", "tunnel", "original",
        "known", NULL
    };
    uint64_t before, counts[SESS_N_COUNTS];
    struct phc_stats stats;
    struct count_args args;
    bool service, local, reply;
    int out;

    count_parse(argc, argv, modes, &args);
    service = (strcmp(args.mode, "stock") && strcmp(args.mode, "simple")
               && strcmp(args.mode, "tunnel")
               && strcmp(args.mode, "other"));
    reply = !strcmp(args.mode, "reply");
    local = strcmp(args.mode, "original") && strcmp(args.mode, "known");
    out = (reply ? C1 : local && strcmp(args.mode, "tunnel") ? B1 : P1);
    start();
    add_rule(ports[C1], strcmp(args.mode, "tunnel") ? ports[B1] : ports[T1],
             !strcmp(args.mode, "simple"));
    add_rule(ports[B1], ports[C1], true);
    run_all();
    if (service || !strcmp(args.mode, "other")) {
        struct phc *phc = begin_service(local);

        if (!strcmp(args.mode, "known")) {
            fill_cache(phc);
        }
    }
    for (unsigned int i = 0; reply && i < N_FLOWS; i++) {
        turn(i, 1, TCP_SYN, true, false);
    }
    /* Until all flows and caches are there.  The count is of so many turns
     * more that this does not matter. */
    for (unsigned int i = 0; i < 2 * N_FLOWS; i++) {
        turn(i, 1, i < N_FLOWS && !reply ? TCP_SYN : TCP_ACK, service, reply);
    }
    before = n_sent(out);
    for (unsigned int i = 0; i < args.n; i++) {
        turn(i * args.burst, args.burst, TCP_ACK, service, reply);
    }
    CHECK_EQ(n_sent(out) - before, args.n * args.burst);
    session_dp_counts(counts, &stats);
    if (service) {
        enum sess_count count = (reply ? SESS_N_REPLIES
                                 : !strcmp(args.mode, "local") ? SESS_N_LOCAL
                                 : !strcmp(args.mode, "known") ? SESS_N_KNOWN
                                 : SESS_N_ORIGINAL);

        CHECK_EQ(counts[count], 2 * N_FLOWS + args.n * args.burst);
    }
    /* Without the daemon's way of ending. */
    _exit(0);
}
