#-------------------------------------------------------------------------
#
# prepare.py
#	  Load and build what an engine needs and is not there yet.
#
# IDENTIFICATION
#	  bench/prepare.py
#
#-------------------------------------------------------------------------


def prepare_engines(server, data, chosen, rebuild, log):
    """The engines of those chosen that can be asked, their tables and indexes made."""
    extensions = dict.fromkeys(["vkindex", "vector"] + [engine.extension for engine in chosen
                                                       if engine.extension])
    missing = server.prepare_database(data.name, extensions)
    found = []
    for engine in chosen:
        if engine.extension in missing:
            log.say(f"{data.name}: no {engine.name}: the extension {engine.extension} is not there")
            continue
        try:
            prepare_engine(server, data, engine, engine.name in rebuild, log)
            found.append(engine)
        except Exception as error:
            log.say(f"{data.name}: no {engine.name}: {str(error).strip()}")
            log.add({"kind": "failed", "data": data.name, "engine": engine.name, "error": str(error)})
    return found


def prepare_engine(server, data, engine, rebuild, log):
    if not engine.table:
        return
    took = server.load(data, engine)
    if took:
        log.say(f"{data.name}: {engine.table}: {took['rows']} rows in {took['seconds']} s")
    if not engine.index:
        return
    if rebuild:
        server.drop(data.name, "INDEX", engine.index_name)
    took = server.build(data, engine)
    size = server.size_mb(data.name, engine.index_name)
    log.say(f"{data.name}: {engine.index_name}: built in {took.get('seconds')} s, {size:.0f} MB")
    log.add({"kind": "build", "data": data.name, "engine": engine.name, "table": engine.table,
             "size_mb": round(size, 1), **took})
