/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ext/session-debug, for tests: a fleet and places of backends by hand, where
 * there is no database and perhaps no other host. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath-hooks/ext-agent.h"
#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "ovs-atomic.h"
#include "ovs-thread.h"
#include "packets.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* Members of objects, by default if they are missing or of another type. */

static const char *
get_string(const struct json *object, const char *name, const char *def)
{
    const struct json *x = shash_find_data(json_object(object), name);

    return x && x->type == JSON_STRING ? json_string(x) : def;
}

static double
get_number(const struct json *object, const char *name, double def)
{
    const struct json *x = shash_find_data(json_object(object), name);

    return (x && x->type == JSON_INTEGER ? json_integer(x)
            : x && x->type == JSON_REAL ? json_real(x) : def);
}

static bool
get_bool(const struct json *object, const char *name)
{
    const struct json *x = shash_find_data(json_object(object), name);

    return x && x->type == JSON_TRUE;
}

/* The elements of array 'name', none if there is no such. */
static const struct json_array *
get_array(const struct json *object, const char *name)
{
    static const struct json_array none = { .n = 0 };
    const struct json *x = shash_find_data(json_object(object), name);

    return x && x->type == JSON_ARRAY ? json_array(x) : &none;
}

static bool
parse_address(const char *s, struct in6_addr *addr)
{
    ovs_be32 ip;

    if (ip_parse(s, &ip)) {
        in6_addr_set_mapped_ipv4(addr, ip);
        return true;
    }
    return ipv6_parse(s, addr);
}

static char *
parse_backend(const struct json *json, struct sess_backend *b)
{
    const char *mac = get_string(json, "mac", "02:00:00:00:00:01");

    b->name = xstrdup(get_string(json, "name", ""));
    b->id = sess_id_of_name(b->name);
    b->port = xstrdup(get_string(json, "port", b->name));
    b->weight = get_number(json, "weight", 1);
    b->drain = get_bool(json, "drain");
    return (!b->name[0] ? xstrdup("a backend without a name")
            : !eth_addr_from_string(mac, &b->mac)
            ? xasprintf("%s: not a MAC address", mac) : NULL);
}

static char *
parse_service(const struct json *json, struct sess_service *s)
{
    const struct json_array *backends = get_array(json, "backends");
    const struct json_array *hosts = get_array(json, "hosts");
    const char *address = get_string(json, "address", "");
    char *error = NULL;

    s->name = xstrdup(get_string(json, "name", ""));
    s->id = sess_id_of_name(s->name);
    s->proto = (strcmp(get_string(json, "protocol", "tcp"), "udp")
                ? IPPROTO_TCP : IPPROTO_UDP);
    s->port = htons(get_number(json, "port", 0));
    s->zone = get_number(json, "zone", 0);
    s->bridge = xstrdup(get_string(json, "bridge", "br0"));
    s->encap = (strcmp(get_string(json, "encapsulation", "vxlan"), "geneve")
                ? PHC_VXLAN : PHC_GENEVE);
    s->vni = get_number(json, "vni", 1);
    s->hosts = xcalloc(MAX(hosts->n, 1), sizeof *s->hosts);
    for (size_t i = 0; i < hosts->n; i++) {
        if (hosts->elems[i]->type == JSON_STRING) {
            s->hosts[s->n_hosts++] = xstrdup(json_string(hosts->elems[i]));
        }
    }
    s->backends = xcalloc(MAX(backends->n, 1), sizeof *s->backends);
    for (size_t i = 0; i < backends->n && !error; i++) {
        if (backends->elems[i]->type == JSON_OBJECT) {
            error = parse_backend(backends->elems[i],
                                  &s->backends[s->n_backends++]);
        }
    }
    if (!error && (!s->name[0] || !parse_address(address, &s->addr))) {
        error = xasprintf("service %s: \"%s\" is not an address", s->name,
                          address);
    }
    return error;
}

static char *
parse_host(const struct json *json, struct sess_host *h)
{
    const char *encap = get_string(json, "encap_ip", "");
    const char *gossip = get_string(json, "gossip", "");

    h->name = xstrdup(get_string(json, "name", ""));
    h->id = gossip_host_id(h->name);
    h->drain = get_bool(json, "drain");
    return (!h->name[0] ? xstrdup("a host without a name")
            : encap[0] && !parse_address(encap, &h->encap_ip)
            ? xasprintf("%s: not an address", encap)
            : gossip[0] && !gossip_addr_parse(gossip, &h->gossip)
            ? xasprintf("%s: not ADDRESS:PORT", gossip) : NULL);
}

static char *
parse_fleet(const struct json *json, struct sess_fleet *fleet)
{
    const struct json_array *services = get_array(json, "services");
    const struct json_array *hosts = get_array(json, "hosts");
    char *error = NULL;

    fleet->services = xcalloc(MAX(services->n, 1), sizeof *fleet->services);
    fleet->hosts = xcalloc(MAX(hosts->n, 1), sizeof *fleet->hosts);
    for (size_t i = 0; i < services->n && !error; i++) {
        if (services->elems[i]->type == JSON_OBJECT) {
            error = parse_service(services->elems[i],
                                  &fleet->services[fleet->n_services++]);
        }
    }
    for (size_t i = 0; i < hosts->n && !error; i++) {
        if (hosts->elems[i]->type == JSON_OBJECT) {
            error = parse_host(hosts->elems[i],
                               &fleet->hosts[fleet->n_hosts++]);
        }
    }
    sess_fleet_sort(fleet);
    return error;
}

static char *
debug_fleet(const char *text)
{
    struct json *json = json_from_string(text);
    struct sess_fleet fleet;
    char *error;

    if (json->type == JSON_STRING) {
        error = xasprintf("fleet: %s", json_string(json));
    } else if (json->type != JSON_OBJECT) {
        error = xstrdup("fleet: not an object");
    } else {
        const char *host = get_string(json, "host", "");

        sess_fleet_init(&fleet);
        error = (host[0] ? parse_fleet(json, &fleet)
                 : xstrdup("fleet: no \"host\""));
        if (!error) {
            ovs_mutex_lock(&session_mutex);
            session_agent_set_fleet_by_hand(&fleet, host);
            ovs_mutex_unlock(&session_mutex);
            ext_agent_enable("session", true);
        }
        sess_fleet_uninit(&fleet);
    }
    json_destroy(json);
    return error;
}

static char *
debug_off(void)
{
    bool wanted;

    ovs_mutex_lock(&session_mutex);
    wanted = session_agent_set_fleet_by_hand(NULL, NULL);
    ovs_mutex_unlock(&session_mutex);
    ext_agent_enable("session", wanted);
    return NULL;
}

/* "establish CLIENT:PORT SERVICE BACKEND [COUNT]": sessions in the table. */
static char *
debug_establish(int argc, const char *argv[])
{
    const struct sess_plan *plan = session_ag.plan;
    const struct sess_plan_service *s;
    struct gossip_addr from;
    struct in6_addr src;
    uint16_t backend;
    int count = argc > 3 ? atoi(argv[3]) : 1;

    if (argc < 3 || !gossip_addr_parse(argv[0], &from)) {
        return xstrdup("establish: not CLIENT:PORT SERVICE BACKEND [COUNT]");
    } else if (!plan) {
        return xstrdup("establish: no plan yet");
    }
    s = sess_plan_service(plan, sess_plan_service_number(
                              plan, sess_id_of_name(argv[1])));
    backend = s ? sess_plan_backend_number(plan, s->id,
                                           sess_id_of_name(argv[2])) : 0;
    if (!backend) {
        return xasprintf("establish: %s has no backend %s", argv[1], argv[2]);
    }
    memcpy(&src, from.ip, sizeof src);
    for (int i = 0; i < count; i++) {
        struct sess_key key;

        sess_key_init_ip6(&key, &src, &s->addr, htons(from.port + i), s->port,
                          s->proto, s->zone);
        if (!sess_establish(session_ag.table, &key, backend, time_msec())) {
            return xasprintf("establish: no room for session %d", i);
        }
    }
    return NULL;
}

/* "close CLIENT:PORT SERVICE": ends a session, as a RST does. */
static char *
debug_close(int argc, const char *argv[])
{
    const struct sess_plan *plan = session_ag.plan;
    const struct sess_plan_service *s;
    struct sess_packet reset = { .tcp_flags = TCP_RST };
    struct gossip_addr from;
    struct sess_key key;
    struct in6_addr src;
    sess_id id;

    if (argc != 2 || !gossip_addr_parse(argv[0], &from)) {
        return xstrdup("close: not CLIENT:PORT SERVICE");
    }
    s = plan ? sess_plan_service(plan, sess_plan_service_number(
                                     plan, sess_id_of_name(argv[1]))) : NULL;
    if (!s) {
        return xasprintf("close: no service %s", argv[1]);
    }
    memcpy(&src, from.ip, sizeof src);
    sess_key_init_ip6(&key, &src, &s->addr, htons(from.port), s->port,
                      s->proto, s->zone);
    sess_find(session_ag.table, &key, 1, &id);
    if (!id) {
        return xstrdup("close: no such session");
    }
    sess_packet(session_ag.table, id, &reset, time_msec());
    return NULL;
}

/* "hold", "release": a thread that, like one that has a burst in its hands,
 * does not become quiescent meanwhile. */

static atomic_bool holding = false;

static void *
hold_main(void *aux OVS_UNUSED)
{
    bool go_on;

    do {
        usleep(1000);           /* xnanosleep() would be quiescent. */
        atomic_read(&holding, &go_on);
    } while (go_on);
    return NULL;
}

static char *
debug_hold(bool hold)
{
    static pthread_t thread;
    bool held;

    atomic_read(&holding, &held);
    if (held == hold) {
        return xstrdup(hold ? "hold: already" : "release: nothing is held");
    }
    atomic_store(&holding, hold);
    if (hold) {
        thread = ovs_thread_create("session-hold", hold_main, NULL);
    } else {
        xpthread_join(thread, NULL);
    }
    return NULL;
}

static char *
debug(int argc, const char *argv[])
{
    if (!strcmp(argv[1], "location") && argc == 4) {
        return session_agent_locate_by_hand(argv[2], argv[3]);
    } else if (!strcmp(argv[1], "hint") && (argc == 5 || argc == 6)) {
        return session_hint_by_hand(argv[2], argv[3], atof(argv[4]),
                                    argc == 6 ? atoi(argv[5]) : 30000);
    } else if (!strcmp(argv[1], "establish")) {
        return debug_establish(argc - 2, argv + 2);
    } else if (!strcmp(argv[1], "close")) {
        return debug_close(argc - 2, argv + 2);
    } else {
        return xasprintf("%s: unknown, or wrong arguments", argv[1]);
    }
}

static void
session_debug(struct unixctl_conn *conn, int argc, const char *argv[],
              void *aux OVS_UNUSED)
{
    char *error;

    if (!strcmp(argv[1], "fleet") && argc == 3) {
        error = debug_fleet(argv[2]);
    } else if (!strcmp(argv[1], "off") && argc == 2) {
        error = debug_off();
    } else if (!strcmp(argv[1], "hold") && argc == 2) {
        error = debug_hold(true);
    } else if (!strcmp(argv[1], "release") && argc == 2) {
        error = debug_hold(false);
    } else {
        ovs_mutex_lock(&session_mutex);
        error = debug(argc, argv);
        ovs_mutex_unlock(&session_mutex);
    }
    if (error) {
        unixctl_command_reply_error(conn, error);
        free(error);
    } else {
        /* As a message of another host does. */
        ext_agent_wake();
        unixctl_command_reply(conn, NULL);
    }
}

void
session_debug_init(void)
{
    unixctl_command_register("ext/session-debug", "VERB [ARG...]", 1, 8,
                             session_debug, NULL);
}
