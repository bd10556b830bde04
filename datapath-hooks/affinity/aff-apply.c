/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Instructions become real, or the reason why not. */

#include <config.h>

#include "datapath-hooks/affinity/aff-agent.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/affinity/redirect.h"
#include "datapath-hooks/offload/offload.h"
#include "datapath-hooks/steering/steer.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(aff_apply);

/* For so long after an accelerator failed, traffic uses the flows that are
 * there, by the bypass; then it goes back to flows of its own. */
enum { BYPASS_MS = 5000 };

/* For so long a NIC's table may hold no flow of an instruction that it has
 * held some of: flows come and go. */
enum { GRANT_MS = 5000 };

/* Milliseconds between two looks at how much was redirected. */
enum { COUNT_MS = 1000 };

struct ovs_mutex aff_mutex = OVS_MUTEX_INITIALIZER;
struct aff_item *aff_items OVS_GUARDED_BY(aff_mutex);
size_t aff_n_items OVS_GUARDED_BY(aff_mutex);

/* The rules as last given to the redirection.  Agent thread. */
static struct redirect_rule *rules;
static size_t n_rules;

/* The same of what offload was given. */
static struct offload_wish wishes[OFFLOAD_MAX_WISHES];
static size_t n_wishes;

static int
compare(const struct db_instruction *a, const struct db_instruction *b)
{
    int diff = strcmp(a->network, b->network);

    return diff ? diff : (int) a->class - (int) b->class;
}

void
aff_apply_set(const struct db_instruction *instructions, size_t n,
              bool by_hand)
{
    struct aff_item *items;
    size_t old = 0;

    n = MIN(n, AFF_MAX_INSTRUCTIONS);
    items = xcalloc(MAX(n, 1), sizeof *items);
    ovs_mutex_lock(&aff_mutex);
    for (size_t i = 0; i < n; i++) {
        struct aff_item *item = &items[i];

        while (old < aff_n_items
               && compare(&aff_items[old].instruction, &instructions[i]) < 0) {
            old++;
        }
        if (old < aff_n_items
            && !compare(&aff_items[old].instruction, &instructions[i])) {
            *item = aff_items[old];
            if (strcmp(item->instruction.resource,
                       instructions[i].resource)) {
                item->failed_at = 0;
                item->granted_at = 0;
            }
        } else {
            item->since = time_wall_msec();
        }
        item->instruction = instructions[i];
        item->by_hand = by_hand;
    }
    free(aff_items);
    aff_items = items;
    aff_n_items = n;
    ovs_mutex_unlock(&aff_mutex);
}

static int
compare_resources(const void *a_, const void *b_)
{
    const struct hrm_resource *const *a = a_, *const *b = b_;

    return strcmp((*a)->name, (*b)->name);
}

static int
compare_to_resource(const void *name, const void *r_)
{
    const struct hrm_resource *const *r = r_;

    return strcmp(name, (*r)->name);
}

/* Returns pointers to 'resources', sorted by name, to be freed. */
static const struct hrm_resource **
sort_resources(const struct hrm_resource *resources, size_t n)
{
    const struct hrm_resource **sorted = xcalloc(MAX(n, 1), sizeof *sorted);

    for (size_t i = 0; i < n; i++) {
        sorted[i] = &resources[i];
    }
    qsort(sorted, n, sizeof *sorted, compare_resources);
    return sorted;
}

static const struct hrm_resource *
find_resource(const struct hrm_resource *const *sorted, size_t n,
              const char *name)
{
    const struct hrm_resource *const *r
        = bsearch(name, sorted, n, sizeof *sorted, compare_to_resource);

    return r ? *r : NULL;
}

/* Returns true if 'r' is a queue of the same port as 'other'. */
static bool
same_port(const struct hrm_resource *r, const struct hrm_resource *other)
{
    const char *slash = strrchr(r->name, '/');

    return (other->kind == HRM_NIC_QUEUE && slash
            && !strncmp(r->name, other->name, slash + 1 - r->name));
}

/* Returns true if traffic can be given to PMD core 'r'. */
static bool
core_has_queue(const struct hrm_resource *r)
{
    char netdev[HRM_NAME_LEN];
    unsigned int core, queue;

    return (ovs_scan(r->name, "pmd/%u", &core)
            && steer_queue_of_core(core, 0, netdev, sizeof netdev, &queue));
}

/* Whether apply_item() knows a way to give traffic to resources of 'kind' in
 * the present configuration. */
static bool
kind_is_steerable(enum hrm_kind kind)
{
    switch (kind) {
    case HRM_PMD_CORE:
    case HRM_NIC_QUEUE:
    case HRM_PORT:
        return true;

    case HRM_FLOW_TABLE:
        return offload_is_on(NULL);

    case HRM_CRYPTO:
    case HRM_DMA:
    case HRM_EVENT:
    case HRM_BB:
    case HRM_RAW:
    case HRM_REGEX:
    case HRM_GPU:
    case HRM_PCI:
    case HRM_N_KINDS:
    default:
        return false;
    }
}

/* Corrects 'resources' by what this host can steer.  What can take no traffic
 * at all is said to be so, for the controller not to learn it the hard way.  A
 * port with one queue leaves no choice, so that queue is nobody's to give; a
 * PMD core takes traffic by a queue of its own. */
void
aff_apply_correct(struct hrm_resource *resources, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hrm_resource *r = &resources[i];
        /* They are ordered by name. */
        bool alone = (r->kind == HRM_NIC_QUEUE
                      && !(i && same_port(r, &resources[i - 1]))
                      && !(i + 1 < n && same_port(r, &resources[i + 1])));

        if (!kind_is_steerable(r->kind)) {
            hrm_resource_set_attr(r, "steerable", "false");
        }
        if (r->state == HRM_UNAVAILABLE) {
            continue;
        } else if (alone) {
            r->state = HRM_UNMANAGED;
            ovs_strlcpy(r->reason, "the only queue of its port",
                        sizeof r->reason);
        } else if (r->kind == HRM_PMD_CORE && !core_has_queue(r)) {
            r->state = HRM_UNMANAGED;
            ovs_strlcpy(r->reason, "polls no queue of a NIC that ext-steering "
                        "watches", sizeof r->reason);
        }
    }
}

/* Returns true if 'a' and 'b' are the same but for numbers, such as how long
 * something has been so. */
static bool
same_but_numbers(const char *a, const char *b)
{
    static const char digits[] = "0123456789";

    for (;; a++, b++) {
        a += strspn(a, digits);
        b += strspn(b, digits);
        if (*a != *b) {
            return false;
        } else if (!*a) {
            return true;
        }
    }
}

/* Notes the outcome for 'item'. */
static void OVS_PRINTF_FORMAT(3, 4)
settle(struct aff_item *item, bool applied, const char *format, ...)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(60, 200);
    char reason[AFF_REASON_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (applied != item->applied
        || (applied ? strcmp(reason, item->reason)
            : !same_but_numbers(reason, item->reason))) {
        item->applied = applied;
        item->since = time_wall_msec();
        VLOG_INFO_RL(&rl, "%s %s -> %s: %s%s", item->instruction.network,
                     tp_class_to_string(item->instruction.class),
                     item->instruction.resource[0]
                     ? item->instruction.resource : "direct",
                     applied ? "" : "not applied, ", reason);
    }
    ovs_strlcpy(item->reason, reason, sizeof item->reason);
}

/* Has packets of 'item' go through an accelerator. */
static void
apply_port(struct aff_item *item, const struct aff_host_key *key,
           const char *name, const struct hrm_resource *r, long long int now)
{
    struct redirect_rule *rule;
    const char *reason;
    odp_port_t port;
    bool alive;

    if (!redirect_find_accelerator(name, &port)) {
        settle(item, false, "%s is no accelerator port here", name);
        return;
    } else if (!redirect_is_ready()) {
        settle(item, false, "the datapath is being made ready");
        return;
    }
    alive = aff_watch_is_alive(name, &reason);
    if (alive && r && r->state == HRM_UNAVAILABLE) {
        alive = false;
        reason = r->reason[0] ? r->reason : "it is unavailable";
    }
    if (alive) {
        item->failed_at = 0;
    } else if (!item->failed_at) {
        item->failed_at = now;
    }
    if (alive || (now - item->failed_at < BYPASS_MS
                  && (item->applied || item->packets))) {
        rule = &rules[n_rules++];
        rule->key = *key;
        rule->port = port;
        rule->bypass = !alive;
    }
    settle(item, alive, alive ? "through port %s" : "direct way: %s",
           alive ? name : reason);
}

static void
apply_queue(struct aff_item *item, const struct aff_host_key *key,
            const char *netdev, unsigned int queue)
{
    char reason[AFF_REASON_MAX];
    bool ok = aff_queue_want(key, netdev, queue, reason);

    settle(item, ok, "%s", reason);
}

/* Has packets of 'item' received by PMD core 'core': on each NIC, by a queue
 * that steering has seen that core poll. */
static void
apply_core(struct aff_item *item, const struct aff_host_key *key,
           unsigned int core)
{
    char netdev[HRM_NAME_LEN], reason[AFF_REASON_MAX];
    unsigned int n, queue;
    bool ok = false;

    for (n = 0; steer_queue_of_core(core, n, netdev, sizeof netdev, &queue);
         n++) {
        ok |= aff_queue_want(key, netdev, queue, reason);
    }
    if (n) {
        settle(item, ok, "%s", reason);
    } else {
        settle(item, false, "no queue of a NIC is known to be polled by core "
               "%u (ext-steering tells, in any mode but off)", core);
    }
}

/* Has flows of 'item' preferred for the flow table of 'netdev'. */
static void
apply_table(struct aff_item *item, const struct aff_host_key *key,
            const char *netdev, long long int now)
{
    struct offload_granted granted;
    struct offload_wish *wish;
    const char *reason;

    if (!offload_is_on(&reason)) {
        settle(item, false, "%s", reason);
    } else if (n_wishes >= ARRAY_SIZE(wishes)) {
        settle(item, false, "too much is to be preferred");
    } else {
        wish = &wishes[n_wishes++];
        memset(wish, 0, sizeof *wish);
        wish->key = *key;
        ovs_strlcpy(wish->netdev, netdev, sizeof wish->netdev);
        if (offload_get_granted(wish, &granted) && granted.flows) {
            item->granted_at = now;
        }
        if (item->granted_at && now - item->granted_at < GRANT_MS) {
            settle(item, true, "preferred in the table of %s", netdev);
        } else {
            settle(item, false, "%s is offered no flow of it alone", netdev);
        }
    }
}

static void
apply_item(struct aff_item *item, const struct hrm_resource *const *sorted,
           size_t n, long long int now)
{
    const char *name = item->instruction.resource;
    const struct hrm_resource *r = find_resource(sorted, n, name);
    struct aff_host_key key;
    char netdev[HRM_NAME_LEN];
    unsigned int number;
    int end = 0;

    if (!name[0]) {
        settle(item, true, "direct way");
    } else if (!aff_host_key_make(&key, item->instruction.network,
                                  item->instruction.class)) {
        settle(item, false, "the datapath cannot tell network %s",
               item->instruction.network);
    } else if (!strncmp(name, "port/", 5)) {
        apply_port(item, &key, name + 5, r, now);
    } else if (!r) {
        settle(item, false, "there is no %s here", name);
    } else if (r->state == HRM_UNAVAILABLE || r->state == HRM_UNMANAGED) {
        settle(item, false, "%s is %s%s%s", name,
               hrm_state_to_string(r->state),
               r->reason[0] ? ": " : "", r->reason);
    } else if (ovs_scan(name, "rxq/%63[^/]/%u%n", netdev, &number, &end)
               && !name[end]) {
        apply_queue(item, &key, netdev, number);
    } else if (ovs_scan(name, "pmd/%u%n", &number, &end) && !name[end]) {
        apply_core(item, &key, number);
    } else if (r->kind == HRM_FLOW_TABLE) {
        apply_table(item, &key, name + strlen("flow-table/"), now);
    } else {
        settle(item, false, "packets cannot be sent to a %s",
               hrm_kind_to_string(r->kind));
    }
}

static bool
rules_equal(const struct redirect_rule *a, const struct redirect_rule *b,
            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!aff_host_key_equal(&a[i].key, &b[i].key)
            || a[i].port != b[i].port || a[i].bypass != b[i].bypass) {
            return false;
        }
    }
    return true;
}

/* Notes how many packets of items that use an accelerator were redirected. */
static void
count_packets(void)
    OVS_REQUIRES(aff_mutex)
{
    struct aff_host_key *keys = xcalloc(aff_n_items, sizeof *keys);
    struct aff_item **items = xcalloc(aff_n_items, sizeof *items);
    uint64_t *packets = xcalloc(aff_n_items, sizeof *packets);
    size_t n = 0;

    for (size_t i = 0; i < aff_n_items; i++) {
        const struct db_instruction *in = &aff_items[i].instruction;

        if (!strncmp(in->resource, "port/", 5)
            && aff_host_key_make(&keys[n], in->network, in->class)) {
            items[n++] = &aff_items[i];
        }
    }
    redirect_packets(keys, packets, n);
    for (size_t i = 0; i < n; i++) {
        items[i]->packets = packets[i];
    }
    free(packets);
    free(items);
    free(keys);
}

void
aff_apply_run(const struct hrm_resource *resources, size_t n,
              long long int now)
{
    static long long int next_count;
    static struct offload_wish old_wishes[OFFLOAD_MAX_WISHES];
    const struct hrm_resource **sorted = sort_resources(resources, n);
    struct redirect_rule *old_rules = rules;
    size_t old_n = n_rules, old_n_wishes = n_wishes;

    ovs_mutex_lock(&aff_mutex);
    rules = xcalloc(MAX(aff_n_items, 1), sizeof *rules);
    n_rules = 0;
    memcpy(old_wishes, wishes, old_n_wishes * sizeof *wishes);
    n_wishes = 0;
    aff_queue_begin();
    for (size_t i = 0; i < aff_n_items; i++) {
        apply_item(&aff_items[i], sorted, n, now);
    }
    free(sorted);
    aff_queue_end();
    if (n_rules != old_n || !rules_equal(rules, old_rules, n_rules)) {
        redirect_set_rules(rules, n_rules);
    }
    free(old_rules);
    if (n_wishes != old_n_wishes
        || memcmp(wishes, old_wishes, n_wishes * sizeof *wishes)) {
        offload_set_wishes(wishes, n_wishes);
    }

    if (now >= next_count) {
        count_packets();
        next_count = now + COUNT_MS;
    }
    ovs_mutex_unlock(&aff_mutex);
}

void
aff_apply_stop(void)
{
    aff_apply_set(NULL, 0, false);
    aff_apply_run(NULL, 0, time_msec());
}

/* Finds out how the traffic of 'report' fares at 'r'.  'p', or null, is what
 * is known of the traffic itself. */
static void
measure(struct db_report *report, const struct hrm_resource *r,
        const struct tp_profile *p)
{
    const char *netdev = strchr(r->name, '/') + 1;
    double pps = r->m.throughput;
    struct offload_granted granted;
    struct offload_wish wish;

    if (r->kind == HRM_FLOW_TABLE) {
        /* Its own numbers are about rules.  What the table does not hold goes
         * the usual way. */
        memset(&wish, 0, sizeof wish);
        ovs_strlcpy(wish.netdev, netdev, sizeof wish.netdev);
        if (p && aff_host_key_make(&wish.key, p->network, p->class)
            && offload_get_granted(&wish, &granted)) {
            report->throughput = p->bps * granted.share;
        }
        return;
    }
    report->latency_us = r->m.latency_us;
    report->loss = r->m.error_rate;
    if (r->kind == HRM_PORT) {
        double loss = 0;

        /* One that is overloaded drops what it is sent, the other loses what
         * it has taken. */
        aff_watch_get(netdev, &loss, &pps);
        report->loss = MAX(report->loss, loss);
    }
    if (p) {
        /* The resource may take other traffic as well. */
        report->throughput = (MIN(p->bps, pps * p->packet_size * 8)
                              * (1 - report->loss));
    }
}

static int
compare_profiles(const void *a_, const void *b_)
{
    const struct tp_profile *const *a = a_, *const *b = b_;
    int diff = strcmp((*a)->network, (*b)->network);

    return diff ? diff : (int) (*a)->class - (int) (*b)->class;
}

static int
compare_to_profile(const void *in_, const void *p_)
{
    const struct db_instruction *in = in_;
    const struct tp_profile *const *p = p_;
    int diff = strcmp(in->network, (*p)->network);

    return diff ? diff : (int) in->class - (int) (*p)->class;
}

/* Returns pointers to 'profiles', sorted, to be freed. */
static const struct tp_profile **
sort_profiles(const struct tp_profile *profiles, size_t n)
{
    const struct tp_profile **sorted = xcalloc(MAX(n, 1), sizeof *sorted);

    for (size_t i = 0; i < n; i++) {
        sorted[i] = &profiles[i];
    }
    qsort(sorted, n, sizeof *sorted, compare_profiles);
    return sorted;
}

size_t
aff_apply_reports(const struct hrm_resource *resources, size_t n,
                  const struct tp_profile *profiles, size_t n_profiles,
                  struct db_report **reports)
{
    const struct tp_profile **by_key = sort_profiles(profiles, n_profiles);
    const struct hrm_resource **by_name = sort_resources(resources, n);
    size_t n_reports = 0;

    ovs_mutex_lock(&aff_mutex);
    *reports = xcalloc(MAX(aff_n_items, 1), sizeof **reports);
    for (size_t i = 0; i < aff_n_items; i++) {
        const struct aff_item *item = &aff_items[i];
        const struct db_instruction *in = &item->instruction;
        const struct tp_profile **p;
        const struct hrm_resource *r;
        struct db_report *report;

        r = find_resource(by_name, n, in->resource);
        if (!item->applied || !r) {
            continue;
        }
        p = bsearch(in, by_key, n_profiles, sizeof *by_key,
                    compare_to_profile);
        report = &(*reports)[n_reports++];
        ovs_strlcpy(report->network, in->network, sizeof report->network);
        report->class = in->class;
        ovs_strlcpy(report->resource, in->resource, sizeof report->resource);
        report->generation = in->generation;
        measure(report, r, p ? *p : NULL);
    }
    ovs_mutex_unlock(&aff_mutex);
    free(by_key);
    free(by_name);
    return n_reports;
}
